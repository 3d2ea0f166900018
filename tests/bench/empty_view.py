"""The service with one more address, behind which there is nothing: what middleware, DRF and the API key cost alone."""

# isort: off - Django must be set up before anything of DRF is imported
from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.views import APIView

from feedbackproject import urls
from feedbackproject.wsgi import application

__all__ = ["application"]


class Empty(APIView):
    def post(self, request: Request) -> HttpResponse:
        return HttpResponse(b'{"ask":false}', content_type="application/json")


urls.urlpatterns += [path("bench/empty", Empty.as_view())]  # type: ignore[list-item]  # what stands there is all includes
