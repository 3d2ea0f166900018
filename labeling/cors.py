"""What browsers on other sites may call: asks, feedback and the tokens of asks, from origins that a project names."""

import re
from collections.abc import Callable
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers

from labeling.errors import NotAllowed
from labeling.services import ask_keys, origins

_PATH: Final = re.compile(
    r"/api/v1/(?:projects/(?P<slug>[-\w]{1,64})/(?:asks|feedback)|asks/(?P<token>[-\w.]{1,300}))/?", re.ASCII
)
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key",
    "Access-Control-Max-Age": "600",
}


class CorsMiddleware:
    """Answers preflights and marks answers as readable, for origins that a publishable key of the project names.

    Stands before everything else, so that refusals are readable for the page too. Origins are named one by one and
    credentials never allowed: a browser's cookies open nothing here.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        match = _PATH.fullmatch(request.path_info)
        if match is None:
            return self.get_response(request)
        origin = request.headers.get("Origin", "")
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        is_allowed = bool(origin) and _is_allowed(origin, match["slug"], match["token"])
        if is_preflight:
            response = HttpResponse(status=204) if is_allowed else _refused()
        else:
            response = self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if is_allowed:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = "Retry-After"
            if is_preflight:
                for name, value in _PREFLIGHT.items():
                    response[name] = value
        return response


def _is_allowed(origin: str, slug: str | None, token: str | None) -> bool:
    try:
        if slug is not None:
            return origin.lower() in origins.of_slug(slug)
        return origin.lower() in origins.of_project(ask_keys.project_of(token or ""))
    except NotAllowed:
        return False
    except (OperationalError, InterfaceError):
        return False  # the request itself will be told that the database is gone


def _refused() -> HttpResponse:
    body = {
        "code": "origin_not_allowed",
        "message": "Pages of this origin may not call.",
        "fields": {},
        "request_id": "",
    }
    return JsonResponse(body, status=403)
