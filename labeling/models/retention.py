from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models.project import Project

DAYS = [
    "opinion_days", "behaviour_days", "text_days", "respondent_days", "idle_respondent_days", "decision_days",
]  # fmt: skip


class RetentionPolicy(models.Model):
    """How long a project keeps what end users said and did. Versions are append-only; the highest one is in force.

    Empty: as long as the installation does, which no project exceeds. See labeling.services.retention for what each does.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="retention_policies", db_index=False)
    version = models.PositiveIntegerField()
    opinion_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Thumbs, ratings, choices, preferences, surveys and texts: deleted."
    )
    behaviour_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Impressions, clicks, dwell and other implicit events: deleted."
    )
    text_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Comments, and answers in free text: blanked; that something was said stays."
    )
    respondent_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Who said, did or was asked something, and comments: blanked."
    )
    idle_respondent_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Respondents of whom nothing was heard for so long: deleted, but for opt-outs, blocks and privacy ledgers.",
    )
    decision_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Logged decisions not to ask: deleted; asks and their decisions stay."
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["project_id", "-version"]
        verbose_name_plural = "retention policies"
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="retention_policy_version_unique"),
            models.CheckConstraint(
                condition=~Q(opinion_days=0)
                & ~Q(behaviour_days=0)
                & ~Q(text_days=0)
                & ~Q(respondent_days=0)
                & ~Q(idle_respondent_days=0)
                & ~Q(decision_days=0),
                name="retention_policy_keeps_a_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} retention policy v{self.version}"

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """By field, what goes after so many days."""
        return {field.name: str(field.help_text) for field in cls._meta.concrete_fields if field.name in DAYS}


class RetentionRun(models.Model):
    """What one sweep deleted or blanked in a project because of its age: the audit trail. Append-only.

    Written together with every batch, so that it is right also where a sweep was killed.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="retention_runs", db_index=False)
    policy = models.ForeignKey(
        RetentionPolicy, null=True, blank=True, on_delete=models.PROTECT, related_name="runs",
        help_text="The version in force; empty: the project has none, and the installation's days held.",
    )  # fmt: skip
    days = models.JSONField(default=dict, help_text="The days that held, by what they are of.")
    counts = models.JSONField(default=dict, help_text="Rows that went, by what they are of.")
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(default=timezone.now, help_text="Of its last batch.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "-id"], name="retention_run_newest")]

    def __str__(self) -> str:
        return f"retention of {self.project_id} at {self.started_at:%Y-%m-%d %H:%M}"
