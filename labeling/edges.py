"""What the edges of every app share: who is calling, which project they mean, and whether they may."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from labeling import access, prepared
from labeling.access import Capability
from labeling.errors import InvalidInput, NotAllowed, NotFound
from labeling.models import ApiKey, Project
from labeling.services import origins, rate_limits


class _ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself in an untyped hook
    target_class = "labeling.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A project's API key."}


class _KeyInAddressScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself in an untyped hook
    target_class = "labeling.authentication.KeyInAddressAuthentication"
    name = "publishableKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        description = "A publishable key, for beacons, which cannot carry a header."
        return {"type": "apiKey", "in": "query", "name": "key", "description": description}


class _PersonScheme(SessionScheme):  # type: ignore[no-untyped-call]  # registers itself in an untyped hook
    target_class = "labeling.authentication.PersonAuthentication"


_IS_ID = re.compile(r"[0-9]{1,18}")


_PROJECT_FIELDS = tuple(field.attname for field in Project._meta.concrete_fields)
_PROJECT_FOR = f"""
SELECT membership.role, membership.skills, label_schema.id, label_schema.version,
    {", ".join(f"project.{field.column}" for field in Project._meta.concrete_fields)}
FROM labeling_project project
    LEFT JOIN labeling_membership membership ON membership.project_id = project.id AND membership.user_id = %(user)s
    LEFT JOIN LATERAL (SELECT id, version FROM labeling_labelschema WHERE project_id = project.id
        ORDER BY version DESC LIMIT 1) label_schema ON true
WHERE project.slug = %(slug)s"""  # noqa: S608 - the model's own columns


@dataclass(frozen=True)
class Caller:
    """A person or an app, and what they may do in one project.

    Of a person, also their skills there, and id and version of the label schema in force: what serving a task needs.
    """

    project: Project
    user: User | None
    api_key: ApiKey | None
    capabilities: frozenset[Capability]
    skills: tuple[str, ...] = ()
    label_schema_id: int | None = None
    label_schema_version: int = 0

    def may(self, capability: Capability) -> bool:
        return capability in self.capabilities


def caller_for(request: Request | HttpRequest, slug: str) -> Caller:
    """Who calls, in the project named by `slug`.

    Raises NotFound alike for a project that does not exist and for one the caller has no part in, so that
    strangers learn nothing.
    """
    api_key = getattr(request, "auth", None)
    if isinstance(api_key, ApiKey):
        if api_key.project.slug != slug:
            raise NotFound("No such project.", code="project_not_found")
        return Caller(api_key.project, None, api_key, access.of_key(api_key.kind))
    user = request.user
    if not isinstance(user, User):
        raise NotFound("No such project.", code="project_not_found")
    # Every request of a person begins with this, so it is one statement, written out.
    rows = prepared.fetch(_PROJECT_FOR, {"slug": slug, "user": user.pk})
    if not rows or (rows[0][0] is None and not user.is_superuser):
        raise NotFound("No such project.", code="project_not_found")
    role, skills, schema_id, schema_version, *columns = rows[0]
    return Caller(
        Project.from_db(DEFAULT_DB_ALIAS, _PROJECT_FIELDS, columns),
        user,
        None,
        frozenset(Capability) if user.is_superuser else access.of_role(role),
        tuple(skills or ()),
        schema_id,
        schema_version or 0,
    )


def require(caller: Caller, capability: Capability) -> None:
    if not caller.may(capability):
        raise NotAllowed(f"This needs the permission “{capability}” in this project.", code="permission_denied")


def require_browser(caller: Caller, request: HttpRequest, *, cost: int = 1) -> None:
    """Hold a publishable key to its origins and to the rate limits; others are not limited.

    Anybody can read such a key in the page it stands in. Raises NotAllowed `missing_origin` or `origin_not_allowed`,
    RateLimited, Unavailable `rate_limits_unavailable`.
    """
    api_key = caller.api_key
    if api_key is None or api_key.kind != ApiKey.Kind.PUBLISHABLE:
        return
    origin = request.headers.get("Origin", "")
    if not origin:
        raise NotAllowed(
            "A publishable key is for browsers, which say from which page they call.", code="missing_origin"
        )
    if not origins.allows(api_key, origin):
        raise NotAllowed("Pages of this origin may not use this key.", code="origin_not_allowed")
    rate_limits.check_browser(
        key_id=api_key.pk, project_id=caller.project.pk, address=address_of(request), cost=cost, now=timezone.now()
    )


def address_of(request: HttpRequest) -> str:
    """Where the request came from: past the last PROXY_COUNT proxies, which each add an address on the right.

    What stands further left could have been written by anybody.
    """
    proxies: int = settings.PROXY_COUNT
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if proxies and forwarded:
        return forwarded[-min(proxies, len(forwarded))]
    return str(request.META.get("REMOTE_ADDR", ""))


class ProjectView(APIView):
    """An API view below /projects/{slug}/. `capabilities` says what each method needs.

    The caller is worked out before the method runs; the method reads `self.caller` and `self.project`. Publishable keys are
    held to their origins and rate limits here.
    """

    capabilities: ClassVar[dict[str, Capability]] = {}
    caller: Caller

    @property
    def project(self) -> Project:
        return self.caller.project

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.caller = caller_for(request, str(kwargs["slug"]))
        method = "GET" if request.method == "HEAD" else request.method or ""
        if (capability := self.capabilities.get(method)) is not None:
            require(self.caller, capability)
        require_browser(self.caller, request._request)


class IdCursorPagination(CursorPagination):
    """Keyset pages by id: the cost of a page does not depend on how far in it lies."""

    ordering = "id"
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not _IS_ID.fullmatch(str(cursor.position)):
            raise InvalidInput("This cursor was not made here.", code="invalid_cursor", fields={"cursor": "not valid"})
        return cursor


class NewestFirstPagination(IdCursorPagination):
    ordering = "-id"
