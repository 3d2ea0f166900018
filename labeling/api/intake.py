"""POST of many rows at once: what items and predictions have in common."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from labeling.access import Capability
from labeling.edges import ProjectView
from labeling.errors import InvalidInput, TooLarge
from labeling.request_body import Body
from labeling.services import idempotency
from labeling.services.idempotency import StoredAnswer
from labeling.services.recording import IntakeReport, OnConflict, Recorder, RowRecorder


class IntakeView(ProjectView):
    """Takes rows as one JSON object, a JSON array or NDJSON; each row succeeds or fails on its own.

    200 when every row is good, 207 when some (or all) rows failed, 4xx only when the request as a whole cannot be used.
    """

    capabilities = {"POST": Capability.WRITE_DATA}
    endpoint: ClassVar[str]
    recorder: ClassVar[Callable[..., Recorder]]
    takes_plain_text: ClassVar[bool] = False
    body: Body

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Before anything else, also before it is clear who calls: a body of the wrong type or size is not even touched.
        if request.method == "POST":
            self.body = Body(request._request, takes_plain_text=self.takes_plain_text)
        super().initial(request, *args, **kwargs)

    def make_recorder(self, request: Request) -> RowRecorder[Any]:
        return self.recorder(self.project, on_conflict=on_conflict(request), lists_good_rows=lists_good_rows(request))

    def idempotency_scope(self) -> str:
        """Within it a key names one request."""
        return self.endpoint

    def rows(self) -> Iterator[bytes]:
        return self.body.rows()

    def take_rows(self, request: Request) -> HttpResponse:
        recorder = self.make_recorder(request)
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return _response(*_answer(self._record(recorder)))
        if not self.body.has_length:
            # Cut off in transit, it would look complete and its answer would be kept under this key.
            raise InvalidInput("A request with an Idempotency-Key needs a Content-Length.", code="length_required")
        with idempotency.claimed(self.project, endpoint=self.idempotency_scope(), key=key) as claim:
            if claim.is_answered:
                self.body.read_to_end()
                stored = claim.answer_again(self.body.digest())
                return _response(stored.status, stored.response, is_replayed=True)
            status, report = _answer(self._record(recorder))
            claim.keep_answer(self.body.digest(), StoredAnswer(status, msgspec.to_builtins(report)))
            return _response(status, report)

    def _record(self, recorder: RowRecorder[Any]) -> IntakeReport:
        try:
            return recorder.record(self.rows())
        except (TooLarge, InvalidInput) as error:
            # Only a stream can end so in its middle.
            report = recorder.report
            if report.received:
                error.message += (
                    f" Of the {report.received} rows before that, the {_stored(report)} good ones are stored."
                )
                counts = ("received", "created", "updated", "skipped", "failed")
                error.fields.update({name: str(getattr(report, name)) for name in counts})
            raise


def _stored(report: IntakeReport) -> int:
    return report.received - report.failed


def _answer(report: IntakeReport) -> tuple[int, IntakeReport]:
    return 207 if report.failed else 200, report


def _response(status: int, content: object, *, is_replayed: bool = False) -> HttpResponse:
    response = HttpResponse(msgspec.json.encode(content), status=status, content_type="application/json")
    if is_replayed:
        response["Idempotent-Replayed"] = "true"
    return response


def on_conflict(request: Request) -> OnConflict:
    value = request.query_params.get("on_conflict", OnConflict.SKIP)
    try:
        return OnConflict(value)
    except ValueError:
        raise InvalidInput(
            "on_conflict is skip, update or error.", code="invalid_on_conflict", fields={"on_conflict": "unknown"}
        ) from None


def lists_good_rows(request: Request) -> bool:
    value = request.query_params.get("results", "all")
    if value not in ("all", "errors"):
        raise InvalidInput("results is all or errors.", code="invalid_results", fields={"results": "unknown"})
    return value == "all"
