"""POST /projects/{slug}/feedback"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from labeling.access import Capability
from labeling.api.documentation import documents_intake
from labeling.api.feedback_serializers import FeedbackRowSerializer
from labeling.api.intake import IntakeView, lists_good_rows, on_conflict
from labeling.authentication import ApiKeyAuthentication, KeyInAddressAuthentication, PersonAuthentication
from labeling.edges import require_browser
from labeling.errors import InvalidInput, TooLarge
from labeling.models import ApiKey
from labeling.services.feedback import FeedbackRecorder
from labeling.services.recording import OnConflict

_CONFLICTS = (OnConflict.SKIP, OnConflict.ERROR)


class FeedbackIntake(IntakeView):
    endpoint = "feedback"
    capabilities = {"POST": Capability.SEND_FEEDBACK}
    authentication_classes = [KeyInAddressAuthentication, ApiKeyAuthentication, PersonAuthentication]
    takes_plain_text = True

    @documents_intake(
        "feedback_send",
        "Send feedback and corrections",
        FeedbackRowSerializer,
        conflicts=_CONFLICTS,
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Store what end users say and do. Rows are answered as those of items are, and told apart by their id.

        Each id counts once. What a row is about may come in later: it is joined then. SageMaker's ground-truth records are
        taken as they are. A publishable key may send at most 50 rows and 64 KiB at a time, only from its origins and only
        the kinds it allows, or implicit ones by a token. An answer to an ask goes to its token: `use_token_endpoint`.
        """
        return self.take_rows(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self._browser_key is not None:
            self.body.limit_to(settings.BROWSER_MAX_BODY_BYTES)

    def make_recorder(self, request: Request) -> FeedbackRecorder:
        conflict = on_conflict(request)
        if conflict not in _CONFLICTS:
            raise InvalidInput(
                "Feedback is never replaced: on_conflict is skip or error.",
                code="invalid_on_conflict",
                fields={"on_conflict": "not for feedback"},
            )
        return FeedbackRecorder(
            self.project,
            on_conflict=conflict,
            lists_good_rows=lists_good_rows(request),
            browser_key=self._browser_key,
        )

    def idempotency_scope(self) -> str:
        # Another key must not read, or take beforehand, the answers kept for this one.
        return self.endpoint if self._browser_key is None else f"{self.endpoint}:{self._browser_key.pk}"

    def rows(self) -> Iterator[bytes]:
        rows = self.body.rows()
        if self._browser_key is None:
            return rows
        few = list(islice((row for row in rows if row and not row.isspace()), settings.BROWSER_MAX_ROWS + 1))
        if len(few) > settings.BROWSER_MAX_ROWS:
            raise TooLarge(f"A browser sends at most {settings.BROWSER_MAX_ROWS} rows at a time.", code="too_many_rows")
        if len(few) > 1:  # the first one was charged with the request
            require_browser(self.caller, self.request._request, cost=len(few) - 1)
        return iter(few)

    @property
    def _browser_key(self) -> ApiKey | None:
        key = self.caller.api_key
        return key if key is not None and key.kind == ApiKey.Kind.PUBLISHABLE else None
