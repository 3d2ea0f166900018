"""The API envelope: every error is `{code, message, fields, request_id}`, whatever raised it."""

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from labeling.errors import (
    Conflict,
    Contradiction,
    DomainError,
    InvalidInput,
    NotAllowed,
    NotFound,
    RateLimited,
    TooLarge,
    Unavailable,
)

logger = logging.getLogger(__name__)

_STATUS_BY_FAMILY: tuple[tuple[type[DomainError], int], ...] = (
    (InvalidInput, status.HTTP_400_BAD_REQUEST),
    (NotAllowed, status.HTTP_403_FORBIDDEN),
    (NotFound, status.HTTP_404_NOT_FOUND),
    (Conflict, status.HTTP_409_CONFLICT),
    (Contradiction, status.HTTP_422_UNPROCESSABLE_ENTITY),
    (TooLarge, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE),
    (RateLimited, status.HTTP_429_TOO_MANY_REQUESTS),
    (Unavailable, status.HTTP_503_SERVICE_UNAVAILABLE),
)


class RequestIdMiddleware:
    """Gives every request an id that is in the answer's header, in error bodies and in the log."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.META["feedback.request_id"] = request_id = uuid.uuid4().hex
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


def status_of(error: DomainError) -> int:
    return next((code for family, code in _STATUS_BY_FAMILY if isinstance(error, family)), 400)


def _envelope(
    request: HttpRequest, code: str, message: str, fields: Mapping[str, object] | None = None
) -> dict[str, Any]:
    request_id = request.META.get("feedback.request_id", "")
    return {"code": code, "message": message, "fields": fields or {}, "request_id": request_id}


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook. None lets Django answer 500, which `server_error` turns into the same envelope."""
    request: HttpRequest = context["request"]._request
    if isinstance(error, DomainError):
        set_rollback()
        body = _envelope(request, error.code, error.message, error.fields)
        wait = {"Retry-After": str(error.retry_after_seconds)} if isinstance(error, RateLimited) else None
        return Response(body, status=status_of(error), headers=wait)
    if isinstance(error, OperationalError | InterfaceError):
        # The database is restarting or gone. Nothing was committed, so the client may simply try again.
        logger.exception("database unavailable")
        body = _envelope(request, "database_unavailable", "The database cannot be reached; try again shortly.")
        return Response(body, status=status.HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "2"})
    if isinstance(error, DataError):
        # The last net: a value that passed every check and that PostgreSQL cannot take, such as NUL in an address.
        logger.warning("a value could not be stored or compared", exc_info=error)
        set_rollback()
        body = _envelope(request, "unstorable_value", "A value in the request cannot be stored.")
        return Response(body, status=status.HTTP_400_BAD_REQUEST)
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        error = exceptions.ParseError("The request could not be read.", code="bad_request")
    elif isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    if isinstance(error, exceptions.ValidationError):
        body = _envelope(request, "invalid_input", "Some fields are not valid.", _fields_of(error))
    else:
        code = error.get_codes()
        body = _envelope(request, code if isinstance(code, str) else "error", str(error.detail))
    return Response(body, status=error.status_code, headers=headers)


_PLAIN: Final = {
    "not_a_list": "Must be a list.",
    "not_a_dict": "Must be an object.",
    "required": "Is missing.",
    "null": "Must not be null.",
}
"""For DRF's own words, which speak of dictionaries and types of Python."""


def _fields_of(error: exceptions.ValidationError) -> dict[str, object]:
    detail = error.detail
    if not isinstance(detail, dict):
        return {"non_field_errors": _plain(detail)}
    if any(str(said).startswith("Invalid data. Expected a dictionary") for said in detail.get("non_field_errors", [])):
        return {"body": ["Must be an object."]}
    return {name: _plain(said) for name, said in detail.items()}


def _plain(detail: object) -> object:
    if isinstance(detail, dict):
        return {name: _plain(said) for name, said in detail.items()}
    if isinstance(detail, list):
        return [_plain(said) for said in detail]
    if isinstance(detail, exceptions.ErrorDetail):
        return _PLAIN.get(detail.code or "", str(detail))
    return detail


def bad_request(request: HttpRequest) -> JsonResponse:
    return JsonResponse(_envelope(request, "bad_request", "The request could not be read."), status=400)


def not_found(request: HttpRequest) -> JsonResponse:
    return JsonResponse(_envelope(request, "not_found", "There is nothing at this address."), status=404)


def server_error(request: HttpRequest) -> JsonResponse:
    message = "Something went wrong on our side. The request id finds it in the log."
    return JsonResponse(_envelope(request, "internal_error", message), status=500)
