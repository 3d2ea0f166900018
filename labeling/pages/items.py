"""One item: what it is, and everything that people were asked and said about it."""

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import NotFound
from labeling.models import Annotation, AnnotationTask, Item, Prediction, Skip
from labeling.page_edges import project_page, render_project

_PREDICTIONS_SHOWN = 10


@project_page(Capability.READ)
def item(request: HttpRequest, caller: Caller, item_id: int) -> HttpResponse:
    found = Item.objects.filter(project=caller.project, pk=item_id).select_related("pool_entry").first()
    if found is None:
        raise NotFound("This project has no such item.")
    tasks = AnnotationTask.objects.filter(item=found).select_related("leased_to", "assigned_to").order_by("-id")
    answers = Annotation.objects.select_related("annotator", "label_schema").order_by("id")
    skips = Skip.objects.select_related("annotator").order_by("id")
    predictions = Prediction.objects.filter(item=found).select_related("model_version").order_by("-id")
    context = {
        "item": found,
        "tasks": list(tasks.prefetch_related(Prefetch("annotations", answers), Prefetch("skips", skips))),
        "predictions": predictions[:_PREDICTIONS_SHOWN],
        "now": timezone.now(),
    }
    return render_project(request, caller, "labeling/item.html", context, active="queue")
