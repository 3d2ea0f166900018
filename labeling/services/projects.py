"""Projects, their label schemas and their members."""

import datetime as dt

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from labeling import schema, selectors
from labeling.errors import Conflict, InvalidInput, NotFound
from labeling.models import LabelSchema, Membership, Project


@transaction.atomic
def create(
    *,
    slug: str,
    name: str,
    objective: str = "",
    definition: object,
    kind: str = LabelSchema.Kind.SINGLE_CHOICE,
    by: User | None,
) -> Project:
    """Create a project with version 1 of its label schema, owned by `by` if that is a person.

    Raises InvalidInput (also code `invalid_schema`), Conflict `slug_taken`.
    """
    parsed = _parse(kind, definition)
    project = Project(slug=slug, name=name, objective=objective, created_by=by)
    _validate(project)
    try:
        with transaction.atomic():
            project.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"There is a project “{slug}” already.", code="slug_taken", fields={"slug": "taken"}) from None
    _store_schema(project, 1, parsed, by)
    if by is not None:
        Membership.objects.create(project=project, user=by, role=Membership.Role.OWNER)
    return project


def describe(project: Project, *, name: str | None = None, objective: str | None = None) -> Project:
    """Change what is not None."""
    if name is not None:
        project.name = name
    if objective is not None:
        project.objective = objective
    _validate(project)
    project.save(update_fields=["name", "objective"])
    return project


@transaction.atomic
def new_schema_version(
    project: Project, *, kind: str = LabelSchema.Kind.SINGLE_CHOICE, definition: object, by: User | None
) -> LabelSchema:
    """Put a new label schema in force; the one in force is returned when it says the same already.

    Locks the project, so that versions are counted without gaps. Raises InvalidInput `invalid_schema`.
    """
    parsed = _parse(kind, definition)
    _lock(project)
    current = selectors.current_schema(project)
    if selectors.parsed(current) == parsed:
        return current
    return _store_schema(project, current.version + 1, parsed, by)


def pause_queue(project: Project, *, now: dt.datetime) -> None:
    """From now on no task is served and no refill starts. The time of the first pause stays when called again."""
    Project.objects.filter(pk=project.pk, queue_paused_at__isnull=True).update(queue_paused_at=now)
    project.refresh_from_db(fields=["queue_paused_at"])


def resume_queue(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(queue_paused_at=None)
    project.queue_paused_at = None


@transaction.atomic
def set_member(project: Project, *, username: str, role: str, by: User | None) -> Membership:
    """Make the person a member or change their role.

    Raises InvalidInput `unknown_role`, NotFound `user_not_found`, Conflict `last_owner`.
    """
    if role not in Membership.Role.values:
        raise InvalidInput(f"There is no role “{role}”.", code="unknown_role", fields={"role": "unknown"})
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise NotFound(f"There is no user “{username}”.", code="user_not_found", fields={"username": "unknown"})
    _lock(project)
    if role != Membership.Role.OWNER:
        _require_other_owner(project, username)
    membership, _ = Membership.objects.update_or_create(project=project, user=user, defaults={"role": role})
    return membership


@transaction.atomic
def remove_member(project: Project, *, username: str, by: User | None) -> None:
    """End the membership; what the person annotated stays.

    Raises NotFound `member_not_found`, Conflict `last_owner`.
    """
    _lock(project)
    membership = Membership.objects.filter(project=project, user__username=username).first()
    if membership is None:
        raise NotFound(f"“{username}” is not a member.", code="member_not_found")
    _require_other_owner(project, username)
    membership.delete()


def _require_other_owner(project: Project, username: str) -> None:
    owners = set(project.memberships.filter(role=Membership.Role.OWNER).values_list("user__username", flat=True))
    if owners == {username}:
        raise Conflict("A project keeps at least one owner.", code="last_owner")


def _lock(project: Project) -> None:
    """Serialise changes of what hangs on the project; rows that merely refer to it can still be written."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _parse(kind: str, definition: object) -> schema.AnySchema:
    if not isinstance(definition, dict):
        raise InvalidInput(
            "A label schema is an object.", code="invalid_schema", fields={"definition": "not an object"}
        )
    try:
        return schema.parse_definition({**definition, "kind": kind})
    except schema.SchemaError as error:
        raise InvalidInput(str(error), code=error.code, fields={"definition": str(error)}) from error


def _store_schema(project: Project, version: int, parsed: schema.AnySchema, by: User | None) -> LabelSchema:
    definition = schema.definition_of(parsed)
    del definition["kind"]  # it has its own column
    return LabelSchema.objects.create(
        project=project, version=version, kind=parsed.kind, definition=definition, created_by=by
    )


def _validate(project: Project) -> None:
    try:
        project.full_clean(exclude=["created_by"], validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        fields = {field: " ".join(messages) for field, messages in error.message_dict.items()}
        raise InvalidInput("Some fields are not valid.", fields=fields) from error
