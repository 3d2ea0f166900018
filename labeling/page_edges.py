"""What the pages of every app share: who looks at which project, and the frame the page is drawn in."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Final

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache

from labeling.access import Capability
from labeling.edges import Caller, caller_for, require
from labeling.errors import DomainError

PageView = Callable[..., HttpResponse]

EDITOR_SCRIPTS: Final = [
    f"feedbackproject/js/{name}.js"
    for name in (
        *("dom", "payload/chat", "payload/image", "payload/table", "payload/pixels", "payload"),
        *("editors/editor", "editors/class_picker", "editors/mark_editor", "editors/text_offsets", "editors/word_diff"),
        *(
            "editors/levels",
            "editors/single_choice",
            "editors/multi_label",
            "editors/rating",
            "editors/text_correction",
        ),
        *("editors/preference", "editors/spans", "editors/numeric", "editors/boxes"),
    )
]
"""What shows an item and takes an answer of any kind, in the order in which they build on each other."""


def project_page(
    capability: Capability | None = None, *, to_change: Capability = Capability.MANAGE
) -> Callable[[PageView], PageView]:
    """A page below /projects/<slug>/: logged in, a member, with `capability` to see it and `to_change` to POST to it.

    The view gets a `Caller` in place of the slug. Without `capability` any member may see the page. Strangers get the
    same 404 as for a project that does not exist.
    """

    def decorate(view: PageView) -> PageView:
        @never_cache
        @login_required
        @wraps(view)
        def with_caller(request: HttpRequest, slug: str, **kwargs: object) -> HttpResponse:
            caller = caller_for(request, slug)
            if capability is not None:
                require(caller, capability)
            if request.method == "POST":
                require(caller, to_change)
            return view(request, caller, **kwargs)

        return with_caller

    return decorate


def person(caller: Caller) -> User:
    """The person behind a page: pages know no API keys."""
    if caller.user is None:  # pragma: no cover - pages are behind the login
        raise TypeError("a page was called without a person")
    return caller.user


def is_fragment_asked(request: HttpRequest) -> bool:
    """Whether htmx wants only the part that changes; going back in history wants the whole page."""
    headers = request.headers
    return headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"


def render_project(
    request: HttpRequest,
    caller: Caller,
    template: str,
    context: Mapping[str, object],
    *,
    active: str,
    fragment: str = "",
    status: int = 200,
) -> HttpResponse:
    """Draw the page, or only `fragment` when htmx asks for it: one address serves both."""
    name = fragment if fragment and is_fragment_asked(request) else template
    everything = {"project": caller.project, "caller": caller, "active": active, **context}
    response = render(request, name, everything, status=status)
    if origins := caller.project.image_origins:
        # Read by the CSP middleware: of other origins, browsers load no image.
        response._csp_update = {"img-src": origins}  # type: ignore[attr-defined]
    if fragment:
        response["Vary"] = "HX-Request, Cookie"
    return response


@dataclass(frozen=True)
class LivePart:
    """A part of a page that stays up to date by itself: js/live.js asks for it every so many seconds.

    `context` is called only when the part is drawn. The template holds no CSRF token and no time to the second, or the
    part would differ at every look.
    """

    template: str
    context: Callable[[], Mapping[str, object]]
    seconds: int = 3


def render_live(
    request: HttpRequest,
    caller: Caller,
    template: str,
    parts: Mapping[str, LivePart],
    context: Mapping[str, object],
    *,
    active: str,
    status: int = 200,
) -> HttpResponse:
    """Draw the page with its parts, or for htmx those of the parts it asks for that changed: 204 if none did.

    The browser names the parts in `Live-Parts` and what it has of them, as entity tags, in `If-None-Match`.
    """
    frame = {"project": caller.project, "caller": caller, "active": active}
    if not is_fragment_asked(request):
        drawn = {name: _drawn(name, part, frame, request)[0] for name, part in parts.items()}
        return render_project(request, caller, template, {**context, "parts": drawn}, active=active, status=status)
    known = request.headers.get("If-None-Match", "")
    wanted = request.headers.get("Live-Parts", ",".join(parts)).split(",")
    fresh = [_drawn(name, part, frame, request, is_swap=True) for name, part in parts.items() if name in wanted]
    changed = [html for html, tag in fresh if f'"{tag}"' not in known]
    headers = {"Live-Parts": ",".join(parts), "Vary": "HX-Request, Cookie"}
    return HttpResponse("".join(changed), status=200 if changed else 204, headers=headers)


def _drawn(
    name: str, part: LivePart, frame: Mapping[str, object], request: HttpRequest, *, is_swap: bool = False
) -> tuple[SafeString, str]:
    """The part in its frame, and the entity tag of what is in it."""
    html = mark_safe(render_to_string(part.template, {**frame, **part.context()}, request))  # noqa: S308 - a template's
    tag = f"{name}-{hashlib.sha256(html.encode()).hexdigest()[:16]}"
    drawn = format_html(
        '<div id="live-{}" data-live-part="{}" data-live-tag="{}" data-live-seconds="{}"{}>{}</div>',
        *(name, name, tag, part.seconds, mark_safe(' hx-swap-oob="true"') if is_swap else "", html),
    )
    return drawn, tag


def finished() -> HttpResponse:
    """Answer a fragment that watched some work: it is done, so the whole page has news."""
    return HttpResponse(headers={"HX-Refresh": "true"})


def blame_each(form: BaseForm, error: DomainError) -> None:
    """Show what the domain says of each field at that field, and above the form what is of none of its fields."""
    for name, text in error.fields.items():
        form.add_error(name if name in form.fields else None, f"{text[:1].upper()}{text[1:]}.")
    if not error.fields:
        form.add_error(None, error.message)


def blame(form: BaseForm, error: DomainError) -> None:
    """Show a refusal of the domain where it belongs: at the fields it names, else above the form."""
    named = [name for name in error.fields if name in form.fields]
    for name in named:
        form.add_error(name, error.message)
    if not named:
        form.add_error(None, error.message)
