"""GET and POST /asks/{token}: what the widget of one ask may do, with no other credentials than the token."""

import datetime as dt
from typing import Annotated, Any, Final, Literal

import msgspec
from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from labeling import edges, fast_body
from labeling.api import fast_json
from labeling.api.feedback_serializers import AskEventSerializer, AskOutcomeSerializer, ShownAskSerializer
from labeling.ask_tokens import AskToken
from labeling.errors import NotAllowed
from labeling.request_body import small_body
from labeling.services import ask_events, ask_keys, origins, rate_limits
from labeling.services.ask_events import Event, EventKind

LONGEST_ID: Final = 150
_LONGEST_DURATION_MS: Final = 30 * 86_400_000

Time = Annotated[dt.datetime, Meta(tz=True)]


class _EventForm(msgspec.Struct, forbid_unknown_fields=True):
    event: Literal["shown", "started", "dismissed", "answered", "opted_out"]
    answer: Any = None
    randomised: Any = None
    comment: str = ""
    id: Annotated[str, Meta(max_length=LONGEST_ID)] = ""
    duration_ms: Annotated[int, Meta(ge=0, le=_LONGEST_DURATION_MS)] | None = None
    occurred_at: Time | None = None
    sent_at: Time | None = None
    context: dict[str, Any] = {}


_decoder: Final = msgspec.json.Decoder(_EventForm)


class AskByToken(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]
    token: AskToken

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        now = timezone.now()
        self.token = ask_keys.read(str(kwargs["token"]), now=now)
        _require_origin(request, self.token.project_id)
        address = edges.address_of(request._request)
        rate_limits.check_token(project_id=self.token.project_id, address=address, now=now)

    @extend_schema(
        operation_id="asks_show",
        summary="Show an ask to its respondent",
        parameters=[OpenApiParameter("locale", description="Language of the respondent, e.g. de or pt-BR.")],
        responses=ShownAskSerializer,
    )
    def get(self, request: Request, token: str) -> HttpResponse:
        """403 `invalid_token`, `expired_token` or `origin_not_allowed`."""
        locale = request.query_params.get("locale", "")[:50]
        shown = ask_events.show(self.token, locale=locale, now=timezone.now())
        response = fast_json.answer(shown)
        response["Cache-Control"] = "no-store"
        return response

    @extend_schema(
        operation_id="asks_tell",
        summary="Tell what became of an ask",
        request={"application/json": AskEventSerializer, "text/plain": AskEventSerializer},
        responses=AskOutcomeSerializer,
    )
    def post(self, request: Request, token: str) -> HttpResponse:
        """It was shown, begun, dismissed or answered, or the respondent does not want to be asked again.

        An answer may be given anew for 15 minutes; the earlier one is kept, superseded. The same answer `id` again changes
        nothing. 409 `already_answered` or `already_dismissed`; 403 as for GET; 400 `invalid_answer`, `unknown_class`,
        `not_randomised`, `comment_too_long`, `comment_not_allowed`; 413 above 64 KiB.
        """
        raw = small_body(request._request, settings.BROWSER_MAX_BODY_BYTES)
        form = fast_body.decode(raw, _decoder)
        event = Event(
            EventKind(form.event),
            answer=form.answer,
            randomised=form.randomised,
            comment=form.comment,
            client_id=form.id,
            duration_ms=form.duration_ms,
            occurred_at=form.occurred_at,
            sent_at=form.sent_at,
            context=form.context,
        )
        return fast_json.answer(ask_events.record(self.token, event, now=timezone.now()))


def _require_origin(request: Request, project_id: int) -> None:
    """A token is proof enough, but a page that says where it is must be one that the project knows, or ours."""
    origin = request.headers.get("Origin", "")
    if not origin or origin.lower() in origins.of_project(project_id):
        return
    if origin == f"{request.scheme}://{request.get_host()}":
        return
    raise NotAllowed("Pages of this origin may not use this project's tokens.", code="origin_not_allowed")
