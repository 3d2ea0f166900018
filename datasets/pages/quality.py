"""Quality overview: agreement, calibration, anchoring, what signals are worth, and whom to trust."""

from django.http import HttpRequest, HttpResponse

from datasets import review_board
from datasets.services import anchoring, quality
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
    counts = review_board.open_counts(project)
    context = {
        "agreement": quality.agreement(project),
        "calibration": calibration,
        "bins": bins,
        "annotators": anchoring.of_annotators(project),
        "respondents": anchoring.of_respondents(project),
        "least_arm": anchoring.LEAST_ARM,
        "signals": quality.signals(project),
        "steps": quality.steps(project),
        "fit": quality.last_fit(project),
        "most_rows": quality.MOST_ROWS,
        "most_signals": quality.MOST_SIGNALS,
        "kind": selectors.current_schema(project).get_kind_display(),
        "open_reviews": sum(counts.values()),
    }
    return render_project(request, caller, "datasets/quality.html", context, active="quality")
