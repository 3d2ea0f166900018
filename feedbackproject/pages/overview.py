"""A project's front page: for those who manage it the whole loop, for annotators their work."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from datasets.selectors import funnel
from feedbackproject import charts, demo_reader
from feedbackproject import overview as figures
from labeling import selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.page_edges import person, project_page, render_project
from training.selectors import learning_curve


@project_page()
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    counts = selectors.queue_counts(project, annotator=person(caller), now=timezone.now())
    if not caller.may(Capability.READ):
        guidelines = selectors.parsed_schema(project).guidelines
        context: dict[str, object] = {"counts": counts, "guidelines": guidelines}
        return render_project(request, caller, "feedbackproject/home.html", context, active="overview")
    reached = funnel(project)
    runs = figures.recent_runs(project)
    context = {
        "counts": counts,
        "next_step": figures.next_step(
            figures.situation(project, reached, may_administer=caller.may(Capability.ADMINISTER))
        ),
        "stages": figures.stages(project, reached),
        "accuracy": figures.accuracy(project),
        "curve": charts.learning_curve(learning_curve(project)),
        "control_arm": figures.control_arm(project),
        "runs": runs,
        "is_busy": any(run.is_active for run in runs),
        "has_demo_reader": demo_reader.is_about(project),
    }
    return render_project(
        request, caller, "feedbackproject/overview.html", context, active="overview",
        fragment="feedbackproject/_overview.html",
    )  # fmt: skip
