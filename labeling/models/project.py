from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Project(models.Model):
    """One decision being improved."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    objective = models.TextField(blank=True, help_text="Which decision does this model serve, and what is a good one?")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    queue_paused_at = models.DateTimeField(
        null=True, blank=True, help_text="While set, no task is served and no refill starts."
    )
    shows_suggestions = models.BooleanField(
        default=True, help_text="Whether annotators see what the champion says. Never for audit tasks."
    )
    blind_share = models.FloatField(
        default=0.1,
        help_text="Share of the tasks whose suggestion is hidden, to measure how much people follow what they see.",
    )
    skill_segment = models.CharField(
        max_length=100,
        blank=True,
        help_text="Segment whose value is the skill that an annotator needs, e.g. 'language'; empty: none is needed.",
    )
    image_origins = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="Origins from which browsers may load payload images, e.g. 'https://images.example.org'.",
    )

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="project_has_a_name"),
            models.CheckConstraint(condition=Q(blind_share__gte=0, blind_share__lte=1), name="project_blind_share"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_queue_open(self) -> bool:
        return self.queue_paused_at is None


class LabelSchema(models.Model):
    """What an answer may be. Versions are append-only: an old annotation keeps the schema it was given under."""

    class Kind(models.TextChoices):
        SINGLE_CHOICE = "single_choice", "Single choice"
        MULTI_LABEL = "multi_label", "Multi-label"
        RATING = "rating", "Rating"
        TEXT_CORRECTION = "text_correction", "Text correction"
        PREFERENCE = "preference", "Pairwise preference"
        SPANS = "spans", "Text spans"
        NUMERIC = "numeric", "Numeric value"
        BOXES = "boxes", "Image boxes"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="label_schemas")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=32, choices=Kind)
    definition = models.JSONField(help_text="See labeling.schema for the form of each kind.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["project_id", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="label_schema_version_unique"),
            models.CheckConstraint(condition=Q(version__gte=1), name="label_schema_version_positive"),
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        *("single_choice", "multi_label", "rating", "text_correction"),
                        *("preference", "spans", "numeric", "boxes"),
                    ]
                ),
                name="label_schema_kind_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} schema v{self.version}"


class Membership(models.Model):
    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        MANAGER = "manager", "Manager"
        REVIEWER = "reviewer", "Reviewer"
        ANNOTATOR = "annotator", "Annotator"

    class Stage(models.TextChoices):
        TRAINING = "training", "In training: gets items with known answers only"
        WORKING = "working", "Working"
        BLOCKED = "blocked", "Gets no tasks"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    stage = models.CharField(max_length=16, choices=Stage, default=Stage.WORKING)
    stage_changed_at = models.DateTimeField(
        null=True, blank=True, help_text="What was answered in training before does not count."
    )
    skills = ArrayField(
        models.CharField(max_length=100),
        default=list,
        blank=True,
        help_text="Tasks that need another skill are not served.",
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["project_id", "user_id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="membership_once_per_project"),
            models.CheckConstraint(
                condition=Q(role__in=["owner", "manager", "reviewer", "annotator"]),
                name="membership_role_known",
            ),
            models.CheckConstraint(
                condition=Q(stage__in=["training", "working", "blocked"]), name="membership_stage_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"


class ApiKey(models.Model):
    """Lets an app in. Only a hash is kept; the key itself is shown once, when it is made."""

    class Kind(models.TextChoices):
        SECRET = "secret", "Secret (server side)"
        PUBLISHABLE = "publishable", "Publishable (may be seen by anyone)"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=16, choices=Kind)
    prefix = models.CharField(max_length=16, help_text="The readable start of the key, to tell keys apart.")
    key_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the whole key, hex.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    origins = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="Of a publishable key: origins of the pages that may use it, e.g. 'https://app.example.org'.",
    )
    implicit_kinds = ArrayField(
        models.CharField(max_length=16),
        default=list,
        blank=True,
        help_text="Of a publishable key: kinds of implicit feedback that it may send without a token.",
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["project_id", "-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["secret", "publishable"]), name="api_key_kind_known"),
            models.CheckConstraint(condition=~Q(name=""), name="api_key_has_a_name"),
            models.CheckConstraint(
                condition=Q(kind="publishable") | Q(origins=[], implicit_kinds=[]), name="api_key_secret_has_no_origins"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
