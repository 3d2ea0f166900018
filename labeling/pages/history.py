"""An annotator's own answers: looking them up, and the way to change them."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from labeling import selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.models import Annotation
from labeling.page_edges import person, project_page, render_project

_PER_PAGE = 30
_LONGEST_KEY = 200


@project_page(Capability.ANNOTATE)
def history(request: HttpRequest, caller: Caller) -> HttpResponse:
    key = request.GET.get("key", "")[:_LONGEST_KEY].replace("\x00", "")
    own = selectors.own_annotations(caller.project, person(caller), key_prefix=key).order_by("-id")
    page = Paginator(own, _PER_PAGE).get_page(request.GET.get("page"))
    rows = [(annotation, _said(annotation)) for annotation in page.object_list]
    context = {"page": page, "rows": rows, "key": key}
    return render_project(request, caller, "labeling/history.html", context, active="annotate")


def _said(annotation: Annotation) -> str:
    """The answer in a line, with the titles of its classes."""
    return selectors.schema_of(annotation.label_schema_id).summary_of(annotation.answer)
