"""POST /projects/{slug}/asks: may this user be asked about this prediction, now, and what?"""

import uuid
from typing import Annotated, Final

import msgspec
from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import UNSET, Meta, UnsetType
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from labeling import fast_body, wire
from labeling.access import Capability
from labeling.authentication import ApiKeyAuthentication, PersonAuthentication
from labeling.edges import ProjectView
from labeling.errors import InvalidInput, NotAllowed
from labeling.models import ApiKey
from labeling.request_body import small_body
from labeling.respondent_hash import LONGEST_RESPONDENT
from labeling.wire import PredictionPart, Row, RowError
from sampling.api.ask_serializers import AskAnswerSerializer, AskOpportunitySerializer
from sampling.services import asks
from sampling.services.ask_situation import Opportunity

MOST_CANDIDATES: Final = 50
LONGEST_BROWSER_ID: Final = 150
"""Of an opportunity that a page names: what keeps it apart from others comes before it."""


class _Candidate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    key: str
    payload: dict[str, object] | None = None
    segments: dict[str, str] = {}
    prediction: PredictionPart | None = None


class _Form(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of AskOpportunitySerializer."""

    opportunity_id: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    key: str | UnsetType = UNSET
    payload: dict[str, object] | None = None
    segments: dict[str, str] = {}
    prediction: PredictionPart | None = None
    candidates: Annotated[list[_Candidate], Meta(min_length=1, max_length=MOST_CANDIDATES)] | UnsetType = UNSET
    respondent: Annotated[str, Meta(max_length=LONGEST_RESPONDENT)] = ""
    session: Annotated[str, Meta(max_length=200)] = ""
    consent: bool | None = None
    quiet: bool = False
    locale: Annotated[str, Meta(max_length=50)] = ""
    question: Annotated[str, Meta(max_length=64)] = ""


_decoder: Final = msgspec.json.Decoder(_Form)
_encode: Final = msgspec.json.Encoder().encode


class AskList(ProjectView):
    capabilities = {"POST": Capability.ASK}

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [ApiKeyAuthentication(takes_recent=True), PersonAuthentication()]

    @extend_schema(
        operation_id="asks_decide",
        summary="May this user be asked, now?",
        parameters=[OpenApiParameter("dry_run", bool, description="1: decide, write no row and spend nothing.")],
        request=AskOpportunitySerializer,
        responses=AskAnswerSerializer,
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Log the prediction and decide, in one round trip. 200 for a yes and for a no alike; `reason` says why.

        400 `unknown_item` for an item that does not exist and comes without a payload, `unknown_question`, or the codes of
        the intake for a prediction that is not valid. With a publishable key only items that exist may be named, without
        payload, segments and prediction: 403 `secret_key_needed`.
        """
        is_browser = self._browser_key is not None
        most_bytes = settings.BROWSER_MAX_BODY_BYTES if is_browser else settings.API_MAX_BODY_BYTES
        form = fast_body.decode(small_body(request._request, most_bytes), _decoder)
        candidates = _candidates(form)
        is_dry_run = _is_dry_run(request.query_params.get("dry_run", ""))
        if is_browser:
            _refuse_content(candidates, is_dry_run=is_dry_run)
        name = form.opportunity_id if form.opportunity_id is not UNSET else uuid.uuid4().hex
        opportunity = Opportunity(
            self._prefix(name) + name,
            _rows(candidates),
            respondent=form.respondent,
            session=form.session,
            consent=form.consent,
            is_quiet=form.quiet,
            locale=form.locale,
            question=form.question,
            is_list=form.candidates is not UNSET,
        )
        answer = asks.decide(self.project, opportunity, now=timezone.now(), is_dry_run=is_dry_run)
        answer.opportunity_id = name
        if is_browser:
            answer.propensity = None  # that of a check would give it away
        return HttpResponse(_encode(answer), content_type="application/json")

    @property
    def _browser_key(self) -> ApiKey | None:
        key = self.caller.api_key
        return key if key is not None and key.kind == ApiKey.Kind.PUBLISHABLE else None

    def _prefix(self, name: str) -> str:
        """What keeps the opportunities of a page's key apart, so that none can be taken beforehand that is another's."""
        if self._browser_key is None:
            return ""
        if len(name) > LONGEST_BROWSER_ID:
            message = f"From a browser, it has at most {LONGEST_BROWSER_ID} characters"
            raise InvalidInput(f"{message}.", fields={"opportunity_id": message})
        return f"browser:{self._browser_key.pk}:"


def _is_dry_run(said: str) -> bool:
    """Whoever wants a dry run must not ask in earnest by a slip."""
    if said not in {"", "0", "false", "1", "true"}:
        raise InvalidInput("dry_run is 1 or 0.", fields={"dry_run": "1 or 0"})
    return said in {"1", "true"}


def _candidates(form: _Form) -> list[_Candidate]:
    if form.candidates is not UNSET:
        if form.key is not UNSET or form.payload is not None or form.segments or form.prediction is not None:
            raise InvalidInput(
                "Give either candidates or one item, not both.", fields={"candidates": "not beside key, payload, .."}
            )
        if len({each.key for each in form.candidates}) < len(form.candidates):
            raise InvalidInput(
                "A candidate is named twice.", code="duplicate_key_in_request", fields={"candidates": "named twice"}
            )
        return form.candidates
    if form.key is UNSET:
        raise InvalidInput("An item is needed: a key, or candidates.", code="missing_field", fields={"key": "missing"})
    return [_Candidate(key=form.key, payload=form.payload, segments=form.segments, prediction=form.prediction)]


def _refuse_content(candidates: list[_Candidate], *, is_dry_run: bool) -> None:
    """What a model said and what an item is, the app's server tells: anybody can call with a publishable key."""
    if is_dry_run or any(
        each.payload is not None or each.segments or each.prediction is not None for each in candidates
    ):
        raise NotAllowed("Payload, segments, predictions and dry runs need a secret key.", code="secret_key_needed")


def _rows(candidates: list[_Candidate]) -> list[Row]:
    try:
        return [
            wire.checked(each.key, payload=each.payload, segments=each.segments, prediction=each.prediction)
            for each in candidates
        ]
    except RowError as error:
        raise InvalidInput(
            error.message, code=error.code, fields={"key": (error.key or "")[: wire.LONGEST_KEY]}
        ) from None
