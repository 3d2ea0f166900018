"""Who labels how much, how fast, and how often the model's answer is kept."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from labeling.access import Capability
from labeling.annotator_figures import LOOKED_AT, WINDOW, annotator_figures
from labeling.edges import Caller
from labeling.page_edges import LivePart, project_page, render_live


@project_page(Capability.MANAGE)
def annotators(request: HttpRequest, caller: Caller) -> HttpResponse:
    parts = {"annotators": LivePart("labeling/_annotators.html", lambda: _figures(caller), seconds=15)}
    context = {"days": WINDOW.days, "looked_at": LOOKED_AT}
    return render_live(request, caller, "labeling/annotators.html", parts, context, active="annotators")


def _figures(caller: Caller) -> dict[str, object]:
    now = timezone.now()
    figures = annotator_figures(caller.project, now=now)
    return {
        "people": figures,
        "most": max((each.week for each in figures), default=0),
        "answered_today": sum(each.today for each in figures),
        "answered_week": sum(each.week for each in figures),
        "at_work": sum(each.held > 0 for each in figures),
        "now": now,
    }
