"""Projects, their label schemas and their members."""

import datetime as dt
import logging
import re
from collections.abc import Sequence
from typing import Final

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from labeling import schema, selectors
from labeling.errors import Conflict, InvalidInput, NotFound
from labeling.models import Annotation, AnnotationTask, LabelSchema, Membership, ModelVersion, Project

logger = logging.getLogger(__name__)

MOST_IMAGE_ORIGINS: Final = 20
MOST_SKILLS: Final = 100
LONGEST_SKILL: Final = 100

# Goes into a Content-Security-Policy, so nothing may pass that could end the directive or widen it.
_ORIGIN: Final = re.compile(
    r"(?:https://(?P<host>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)|http://localhost)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


@transaction.atomic
def create(
    *,
    slug: str,
    name: str,
    objective: str = "",
    definition: object,
    kind: str | None = None,
    by: User | None,
) -> Project:
    """Create a project with version 1 of its label schema, owned by `by` if that is a person.

    The kind of the schema may stand in its definition; said nowhere, it is a single choice. Raises InvalidInput (also
    code `invalid_schema`), Conflict `slug_taken`.
    """
    parsed = _parse(kind, definition, default=LabelSchema.Kind.SINGLE_CHOICE)
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


def describe(
    project: Project,
    *,
    name: str | None = None,
    objective: str | None = None,
    shows_suggestions: bool | None = None,
    blind_share: float | None = None,
    skill_segment: str | None = None,
    image_origins: Sequence[str] | None = None,
) -> Project:
    """Change what is not None.

    Image origins are where browsers may load images of payloads from, such as https://images.example.org; only https, or
    http://localhost for trying things out. Raises InvalidInput (also code `invalid_image_origin`).
    """
    if name is not None:
        project.name = name
    if objective is not None:
        project.objective = objective
    if shows_suggestions is not None:
        project.shows_suggestions = shows_suggestions
    if blind_share is not None:
        project.blind_share = _share(blind_share)
    if skill_segment is not None:
        project.skill_segment = skill_segment.strip()
    if image_origins is not None:
        project.image_origins = _origins(image_origins)
    _validate(project)
    fields = ["name", "objective", "shows_suggestions", "blind_share", "skill_segment", "image_origins"]
    project.save(update_fields=fields)
    return project


@transaction.atomic
def new_schema_version(
    project: Project, *, kind: str | None = None, definition: object, by: User | None
) -> LabelSchema:
    """Put a new label schema in force; the one in force is returned when it says the same already.

    Its kind stays unless another one is named, and can change only while the project has neither annotations nor model
    versions: theirs are answers and predictions of the old kind. Locks the project, so that versions are counted without
    gaps. Raises InvalidInput `invalid_schema`, Conflict `schema_kind_fixed`.
    """
    _lock(project)
    current = selectors.current_schema(project)
    parsed = _parse(kind, definition, default=current.kind)
    if parsed.kind != current.kind:
        _require_no_answers(project, current)
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
def set_member(
    project: Project, *, username: str, role: str, skills: Sequence[str] | None = None, by: User | None
) -> Membership:
    """Make the person a member or change their role, and what they are able to label unless `skills` is None.

    Raises InvalidInput `unknown_role` or `invalid_skills`, NotFound `user_not_found`, Conflict `last_owner`.
    """
    changes: dict[str, object] = {"role": role}
    if skills is not None:
        changes["skills"] = _skills(skills)
    if role not in Membership.Role.values:
        raise InvalidInput(f"There is no role “{role}”.", code="unknown_role", fields={"role": "unknown"})
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise NotFound(f"There is no user “{username}”.", code="user_not_found", fields={"username": "unknown"})
    _lock(project)
    if role != Membership.Role.OWNER:
        _require_other_owner(project, username)
    membership, _ = Membership.objects.update_or_create(project=project, user=user, defaults=changes)
    return membership


@transaction.atomic
def set_skills(project: Project, *, username: str, skills: Sequence[str], by: User | None) -> Membership:
    """Say what a member is able to label. Raises InvalidInput `invalid_skills`, NotFound `member_not_found`."""
    wanted = _skills(skills)
    membership = (
        Membership.objects.select_for_update(of=["self"]).filter(project=project, user__username=username).first()
    )
    if membership is None:
        raise NotFound(f"“{username}” is not a member.", code="member_not_found")
    membership.skills = wanted
    membership.save(update_fields=["skills"])
    return membership


@transaction.atomic
def set_stage(project: Project, *, username: str, stage: str, by: User | None, now: dt.datetime) -> Membership:
    """Send a member to training or to work; tasks they hold of the other kind go back.

    Who is blocked stays so until a reviewer releases them. Raises InvalidInput `unknown_stage`, NotFound
    `member_not_found`, Conflict `member_blocked`.
    """
    if stage not in (Membership.Stage.TRAINING, Membership.Stage.WORKING):
        raise InvalidInput("The stage is training or working.", code="unknown_stage", fields={"stage": "unknown"})
    membership = (
        Membership.objects.select_for_update(of=["self"]).filter(project=project, user__username=username).first()
    )
    if membership is None:
        raise NotFound(f"“{username}” is not a member.", code="member_not_found")
    if membership.stage == Membership.Stage.BLOCKED:
        raise Conflict(f"{username} is blocked; release them on the page of the quarantine.", code="member_blocked")
    if membership.stage != stage:
        membership.stage, membership.stage_changed_at = stage, now
        membership.save(update_fields=["stage", "stage_changed_at"])
        held = AnnotationTask.objects.filter(
            project=project, state=AnnotationTask.State.OPEN, leased_to=membership.user
        )
        held.update(leased_to=None, lease_expires_at=None)
        logger.info("%s is %s in project %s, set by %s", username, stage, project.slug, by or "the service")
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


def _parse(kind: str | None, definition: object, *, default: str) -> schema.AnySchema:
    if not isinstance(definition, dict):
        raise InvalidInput(
            "A label schema is an object.", code="invalid_schema", fields={"definition": "not an object"}
        )
    said = definition.get("kind")
    if kind is not None and said is not None and kind != said:
        raise InvalidInput(
            f"The kind is {kind}, but the definition says {str(said)[:100]}.",
            code="invalid_schema",
            fields={"definition": "another kind"},
        )
    try:
        return schema.parse_definition({"kind": kind or default, **definition})
    except schema.SchemaError as error:
        raise InvalidInput(str(error), code=error.code, fields={"definition": str(error)}) from error


def _require_no_answers(project: Project, current: LabelSchema) -> None:
    has_answers = (
        ModelVersion.objects.filter(project=project).exists()
        or Annotation.objects.filter(task__project=project).exists()
    )
    if has_answers:
        raise Conflict(
            f"The project has answers or model versions of the kind “{current.get_kind_display()}”, so the kind of its "
            "label schema cannot change. Create another project for another kind.",
            code="schema_kind_fixed",
            fields={"kind": current.kind},
        )


def _share(wanted: float) -> float:
    # A NaN is neither above nor below anything.
    if not 0.0 <= wanted <= 1.0:
        raise InvalidInput("The blind share is from 0 to 1.", fields={"blind_share": "out of range"})
    return wanted


def _origins(wanted: Sequence[str]) -> list[str]:
    origins: dict[str, None] = {}
    for text in wanted:
        match = _ORIGIN.fullmatch(text.strip().lower())
        if match is None or not 0 < int(match["port"] or 1) < 2**16 or len(match[0]) > 200:
            raise InvalidInput(
                f"“{text[:100]}” is not an origin such as https://images.example.org: https (or http://localhost), a host, "
                "perhaps a port, and nothing behind it.",
                code="invalid_image_origin",
                fields={"image_origins": text[:100]},
            )
        origins[match[0].removesuffix("/")] = None
    if len(origins) > MOST_IMAGE_ORIGINS:
        raise InvalidInput(
            f"At most {MOST_IMAGE_ORIGINS} image origins.",
            code="invalid_image_origin",
            fields={"image_origins": "many"},
        )
    return list(origins)


def _skills(wanted: Sequence[str]) -> list[str]:
    skills = list(dict.fromkeys(skill.strip() for skill in wanted))
    if len(skills) > MOST_SKILLS or any(
        not 0 < len(skill) <= LONGEST_SKILL or not skill.isprintable() for skill in skills
    ):
        raise InvalidInput(
            f"Skills are at most {MOST_SKILLS}, each one line of 1 to {LONGEST_SKILL} characters.",
            code="invalid_skills",
            fields={"skills": "not valid"},
        )
    return skills


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
