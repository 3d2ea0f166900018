"""Quality overview: agreement, calibration, anchoring, what signals are worth, and whom to trust."""

from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString, mark_safe

from datasets import review_board
from datasets.charts import ReliabilityPoint, reliability_svg
from datasets.services import anchoring, quality, signals
from datasets.services.signals import Calibration
from labeling import selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.page_edges import project_page, render_project


@project_page(Capability.READ)
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    calibration = quality.calibration(project)
    bins = []
    if calibration is not None:
        curve = calibration.curve
        bins = list(zip(curve.confidence.tolist(), curve.accuracy.tolist(), curve.n.tolist(), strict=True))
    worth = signals.signals(project)
    counts = review_board.open_counts(project)
    context = {
        "agreement": quality.agreement(project),
        "calibration": calibration,
        "bins": bins,
        "annotators": anchoring.of_annotators(project, most=quality.MOST_ROWS),
        "respondents": anchoring.of_respondents(project),
        "least_arm": anchoring.LEAST_ARM,
        "signals": worth,
        "signal_curve": None if worth is None else _drawn(worth.calibration),
        "least_calibrated": signals.LEAST_CALIBRATED,
        "steps": quality.steps(project),
        "fit": quality.last_fit(project),
        "most_rows": quality.MOST_ROWS,
        "most_signals": signals.MOST_SIGNALS,
        "kind": selectors.current_schema(project).get_kind_display(),
        "open_reviews": sum(counts.values()),
    }
    return render_project(request, caller, "datasets/quality.html", context, active="quality")


def _drawn(found: Calibration | None) -> SafeString | None:
    if found is None:
        return None
    points = [
        ReliabilityPoint(each.foretold, each.right.value or 0.0, each.right.low, each.right.high, each.right.n)
        for each in found.bins
    ]
    told = (
        f"Share of right predictions by what their signals foretell, in {len(points)} groups; the table has the figures"
    )
    return mark_safe(reliability_svg(points, title=told))  # noqa: S308 - drawn from figures
