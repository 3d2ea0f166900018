"""What the pages of every app share: who looks at which project, and the frame the page is drawn in."""

from collections.abc import Callable, Mapping
from functools import wraps

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from labeling.access import Capability
from labeling.edges import Caller, caller_for, require
from labeling.errors import DomainError

PageView = Callable[..., HttpResponse]


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


def finished() -> HttpResponse:
    """Answer a fragment that watched some work: it is done, so the whole page has news."""
    return HttpResponse(headers={"HX-Refresh": "true"})


def blame(form: BaseForm, error: DomainError) -> None:
    """Show a refusal of the domain where it belongs: at the fields it names, else above the form."""
    named = [name for name in error.fields if name in form.fields]
    for name in named:
        form.add_error(name, error.message)
    if not named:
        form.add_error(None, error.message)
