"""The Content-Security-Policy header of every answer."""

from typing import Final

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

_OF_DATA: Final = "default-src 'none'; frame-ancestors 'none'"


class ContentSecurityMiddleware(CSPMiddleware):
    """Pages get the policy of the settings. JSON is no page: it gets the strictest one, which need not be put together
    anew for each of many answers a second."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.get("Content-Type", "").startswith("application/json"):
            response.setdefault(HEADER, _OF_DATA)
            return response
        answer: HttpResponseBase = super().process_response(request, response)
        return answer
