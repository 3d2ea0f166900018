"""Which renderer answers an API request."""

from collections.abc import Iterable
from typing import Any, Final

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

_JSON_IS_FINE: Final = frozenset({"*/*", "application/json", "application/json, */*"})


class JSONNegotiation(DefaultContentNegotiation):
    """As Django REST framework does it. Where there is but JSON, and the client takes it, nothing needs to be weighed."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        is_plain = request.META.get("HTTP_ACCEPT", "*/*") in _JSON_IS_FINE and not request.META.get("QUERY_STRING")
        first, *others = renderers
        if is_plain and not format_suffix and not others and type(first) is JSONRenderer:
            return first, first.media_type
        chosen: tuple[Any, str] = super().select_renderer(request, [first, *others], format_suffix)
        return chosen
