"""Coming in, going out, and what a person sets for themselves."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

_THEMES = {"light", "dark"}
_YEAR_SECONDS = 365 * 24 * 3600

login = LoginView.as_view(template_name="labeling/login.html", redirect_authenticated_user=True)
logout = LogoutView.as_view()


@never_cache
@login_required
def account(request: HttpRequest) -> HttpResponse:
    user = request.user
    if not isinstance(user, User):  # pragma: no cover - login_required lets no one else in
        return redirect("login")
    form = PasswordChangeForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        update_session_auth_hash(request, form.save())
        messages.success(request, "Your password was changed.")
        return redirect("account")
    memberships = user.memberships.select_related("project").order_by("project__name")
    return render(request, "labeling/account.html", {"form": form, "memberships": memberships})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the choice of colours in a cookie, which the server reads: a page never flashes in the other scheme."""
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    response = HttpResponseRedirect(target if is_ours else "/")
    chosen = request.POST.get("theme", "")
    if chosen in _THEMES:
        response.set_cookie("theme", chosen, max_age=_YEAR_SECONDS, samesite="Lax", secure=request.is_secure())
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response
