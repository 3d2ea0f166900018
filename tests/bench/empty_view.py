"""The service with one more address, behind which there is nothing: what middleware, DRF and the API key cost alone."""

import django

django.setup()  # before anything of DRF is imported

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from feedbackproject import urls  # noqa: E402


class Empty(APIView):
    def post(self, request: Request) -> HttpResponse:
        return HttpResponse(b'{"ask":false}', content_type="application/json")


urls.urlpatterns += [path("bench/empty", Empty.as_view())]  # type: ignore[list-item]  # what stands there is all includes
application = get_wsgi_application()
