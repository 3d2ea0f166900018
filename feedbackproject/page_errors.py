"""What a person sees when a page is refused, missing or broken. The API has its own envelope, see feedbackproject.api."""

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from feedbackproject import api
from labeling.errors import DomainError
from labeling.page_edges import is_fragment_asked

logger = logging.getLogger(__name__)

_TITLES = {
    400: "That did not work",
    403: "Not for your role",
    404: "Nothing here",
    409: "Not possible right now",
    413: "Too much at once",
    500: "Something broke",
    503: "One moment",
}


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _page(request: HttpRequest, status: int, message: str) -> HttpResponse:
    context = {"status": status, "title": _TITLES.get(status, _TITLES[400]), "message": message}
    template = "parts/_error.html" if is_fragment_asked(request) else "error.html"
    return render(request, template, context, status=status)


def _bare_page(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """Without the request's user and session, for the case that the database is what is broken."""
    request_id = request.META.get("feedback.request_id", "")
    context = {"status": status, "title": _TITLES[status], "message": message, "request_id": request_id}
    return HttpResponse(render_to_string("bare_error.html", context), status=status)


class PageErrorMiddleware:
    """Turns errors of the domain that a page raised into a page that says what is wrong."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if _is_api(request):
            return None
        if isinstance(error, DomainError):
            return _page(request, api.status_of(error), error.message)
        if isinstance(error, OperationalError | InterfaceError):
            logger.exception("database unavailable")
            response = _bare_page(request, 503, "The database cannot be reached. Please try again in a few seconds.")
            response["Retry-After"] = "2"
            return response
        return None


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return api.not_found(request)
    return _page(request, 404, "There is nothing at this address, or it is not yours to see.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 403, "You may not do this.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    logger.warning("CSRF check failed: %s", reason)
    return _page(request, 403, "The form was too old, or cookies are off. Go back, reload the page and try again.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return api.bad_request(request)
    return _bare_page(request, 400, "The request could not be understood.")


def server_error(request: HttpRequest) -> HttpResponse:
    if _is_api(request):
        return api.server_error(request)
    return _bare_page(request, 500, "The error is on our side and was logged. Trying again may help.")
