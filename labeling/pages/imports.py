"""Files on their way into a project: sending one, seeing first what it would become, and watching the import."""

import io
from typing import Final

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError
from labeling.models import ImportJob
from labeling.page_edges import blame, person, project_page, render_project
from labeling.services import import_reports, imports
from labeling.tasks import RUN_IMPORT
from labeling.wakeup import wake

_JOBS_PER_PAGE: Final = 20
_FILE_TELLS: Final = ("", "Found by looking at the file")


class ImportForm(forms.Form):
    file = forms.FileField(
        allow_empty_file=True,
        help_text="JSON lines, CSV, Parquet, a Label Studio export, or a folder of a Hugging Face data set as zip.",
    )
    format = forms.ChoiceField(required=False, choices=[_FILE_TELLS, *ImportJob.Format.choices])
    key = forms.CharField(
        label="Key column",
        required=False,
        max_length=200,
        help_text="Names the item; “key” if left empty (Label Studio: the task's id). Rows without one are named by content.",
    )
    label = forms.CharField(
        label="Label column",
        required=False,
        max_length=200,
        initial="label",
        help_text="Known labels, taken over as answers. Leave empty if there are none.",
    )
    on_conflict = forms.ChoiceField(
        label="Items that exist",
        choices=[("skip", "Leave as they are"), ("update", "Take the new content"), ("error", "Report as failed")],
    )
    options = forms.CharField(
        label="Further options",
        required=False,
        max_length=10_000,
        help_text='A JSON object, e.g. {"segments": ["country"], "rename": {"title": "text"}}.',
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "class": "mono"}),
    )

    def chosen(self) -> dict[str, object]:
        """The options of the import. Raises InvalidInput for what is no JSON object."""
        data = self.cleaned_data
        chosen = imports.options_object(data["options"])
        if data["key"]:
            chosen["key"] = data["key"]
        if data["label"] != "label":
            chosen["label"] = data["label"] or None
        if data["on_conflict"] != "skip":
            chosen["on_conflict"] = data["on_conflict"]
        return chosen


@project_page(Capability.MANAGE)
def import_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    form = ImportForm()
    if request.method == "POST":
        if (action := request.POST.get("action")) in ("cancel", "retry"):
            return _change(request, caller, action)
        form = ImportForm(request.POST, request.FILES)
        if form.is_valid() and (job := _created(form, caller)) is not None:
            wake(RUN_IMPORT, job.pk)
            messages.success(request, f"“{job.file_name}” was sent. It is imported in the background.")
            return redirect("imports", project.slug)
    jobs = ImportJob.objects.filter(project=project).select_related("created_by")
    page = Paginator(jobs, _JOBS_PER_PAGE).get_page(request.GET.get("page"))
    told = import_reports.progress_of(list(page.object_list), now=timezone.now())
    context = {
        "form": form,
        "page": page,
        "told": told,
        "is_running": any(not each.is_finished for each in told),
        "notice": next((each.notice for each in told if each.notice), ""),
        "base_url": request.build_absolute_uri("/").rstrip("/"),
    }
    status = 422 if form.errors else 200
    return render_project(
        request,
        caller,
        "labeling/imports.html",
        context,
        active="imports",
        fragment="labeling/_imports.html",
        status=status,
    )


@require_POST
@project_page(Capability.MANAGE)
def import_preview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """A fragment: what the first rows of the file would become. The page's script may send only its beginning."""
    form = ImportForm(request.POST, request.FILES)
    context: dict[str, object] = {"project": caller.project}
    if not form.is_valid():
        context["error"] = "Choose a file first."
        return render(request, "labeling/_import_preview.html", context)
    file = form.cleaned_data["file"]
    try:
        context["preview"] = import_reports.preview(
            caller.project,
            name=file.name or "file",
            content=io.BytesIO(file.read()),
            is_cut=request.POST.get("is_cut") == "1",
            file_format=form.cleaned_data["format"],
            options=imports.parse_options(form.chosen()),
        )
    except DomainError as error:
        context["error"] = error.message
    return render(request, "labeling/_import_preview.html", context)


def _created(form: ImportForm, caller: Caller) -> ImportJob | None:
    file = form.cleaned_data["file"]
    try:
        return imports.create(
            caller.project,
            name=file.name or "file",
            content=file,
            size=file.size or 0,
            by=person(caller),
            now=timezone.now(),
            file_format=form.cleaned_data["format"],
            options=form.chosen(),
        )
    except DomainError as error:
        blame(form, error)
        return None


def _change(request: HttpRequest, caller: Caller, action: str) -> HttpResponse:
    text = request.POST.get("job", "")
    job_id = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    if action == "cancel":
        job = imports.cancel(caller.project, job_id, now=timezone.now())
        messages.success(request, f"The import of “{job.file_name}” is cancelled. What was read by now stays.")
    else:
        job = imports.retry(caller.project, job_id)
        wake(RUN_IMPORT, job.pk)
        messages.success(request, f"The import of “{job.file_name}” goes on.")
    return redirect("imports", caller.project.slug)
