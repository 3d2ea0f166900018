"""Who takes part in a project, and as what."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError
from labeling.models import Membership
from labeling.page_edges import blame, person, project_page, render_project
from labeling.services import projects

ROLE_MEANINGS = {
    Membership.Role.OWNER: "everything, members and API keys included",
    Membership.Role.MANAGER: "runs the project: queue, datasets, models, classes",
    Membership.Role.REVIEWER: "labels, reviews, and sees queue, datasets and models",
    Membership.Role.ANNOTATOR: "labels",
}


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.ANNOTATOR)
    skills = forms.CharField(
        required=False,
        max_length=2000,
        help_text="Separated by commas. Who has none is served the tasks that need none. Left empty, they stay as they are.",
    )


@project_page(Capability.ADMINISTER, to_change=Capability.ADMINISTER)
def members(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    form = MemberForm()
    if request.method == "POST":
        if "remove" in request.POST:
            username = request.POST["remove"]
            projects.remove_member(project, username=username, by=person(caller))
            messages.success(request, f"{username} is no longer a member.")
            if username == person(caller).get_username():  # and so may not see this page any more
                return redirect("projects")
            return redirect("members", project.slug)
        if "skills_of" in request.POST:
            username = request.POST["skills_of"]
            projects.set_skills(
                project, username=username, skills=_separated(request.POST.get("skills", "")), by=person(caller)
            )
            messages.success(request, f"The skills of {username} are saved.")
            return redirect("members", project.slug)
        if "stage_of" in request.POST:
            return _set_stage(request, caller)
        form = MemberForm(request.POST)
        if form.is_valid():
            data = form.cleaned_data
            try:
                membership = projects.set_member(
                    project,
                    username=data["username"],
                    role=data["role"],
                    skills=_separated(data["skills"]) or None,
                    by=person(caller),
                )
            except DomainError as error:
                blame(form, error)
            else:
                messages.success(request, f"{data['username']} is {membership.get_role_display().lower()} now.")
                return redirect("members", project.slug)
    context = {
        "form": form,
        "memberships": project.memberships.select_related("user").order_by("user__username"),
        "roles": [(role.label, meaning) for role, meaning in ROLE_MEANINGS.items()],
    }
    status = 422 if form.errors else 200
    return render_project(request, caller, "labeling/members.html", context, active="members", status=status)


def _set_stage(request: HttpRequest, caller: Caller) -> HttpResponse:
    username, stage = request.POST["stage_of"], request.POST.get("stage", "")
    try:
        membership = projects.set_stage(
            caller.project, username=username, stage=stage, by=person(caller), now=timezone.now()
        )
    except DomainError as error:
        messages.error(request, error.message)
    else:
        is_learning = membership.stage == Membership.Stage.TRAINING
        messages.success(request, f"{username} is {'in training' if is_learning else 'at work'} now.")
    return redirect("members", caller.project.slug)


def _separated(text: str) -> list[str]:
    return [skill for part in text.split(",") if (skill := part.strip())]
