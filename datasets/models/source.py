from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import Project

_MEANINGS: Final = {
    "none": "What they say counts in full.",
    "weight": "What they say counts by a weight below 1.",
    "quarantine": "What they say does not count until a reviewer has decided. They do not notice.",
    "shadow_ignore": "What they say is taken with thanks and does not count. They do not notice.",
    "block": "They get no tasks and no questions any more, and what they said does not count.",
}


class SourceStanding(models.Model):
    """How far a source of evidence is trusted now: an annotator, or a respondent by their keyed hash.

    What a source said is never deleted; from QUARANTINE on it counts nothing until somebody trusts the source again.
    """

    exists_only_for_respondent = True
    """Who asks to be forgotten is forgotten here, too; see labeling.services.respondents."""

    class Step(models.TextChoices):
        NONE = "none", "Trusted"
        WEIGHT = "weight", "Counts less"
        QUARANTINE = "quarantine", "In quarantine"
        SHADOW_IGNORE = "shadow_ignore", "Silently ignored"
        BLOCK = "block", "Blocked"

        @property
        def meaning(self) -> str:
            return _MEANINGS[self.value]

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="source_standings", db_index=False)
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    respondent_hash = models.CharField(max_length=64, blank=True)
    step = models.CharField(max_length=16, choices=Step, default=Step.NONE)
    weight = models.FloatField(default=1.0, help_text="What its evidence counts: 1 in full, 0 not at all.")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+",
        help_text="Who decided the step; empty: the examination did. It does not overrule a person without new answers.",
    )  # fmt: skip
    answers_when_decided = models.PositiveIntegerField(
        default=0, help_text="How many answers the source had given when a person decided."
    )
    nats_when_decided = models.FloatField(
        default=0.0, help_text="How strong all findings together were when a person decided."
    )
    suspicion_nats = models.FloatField(
        default=0.0, help_text="Of the strongest finding; 10 is about 1 in 20,000 by chance."
    )
    reasons = models.JSONField(default=list, help_text="Findings: family, nats, text.")
    answers = models.PositiveIntegerField(default=0)
    hits = models.FloatField(default=0.0, help_text="Expected number of right answers, judged by all others' evidence.")
    misses = models.FloatField(default=0.0)
    gold_hits = models.PositiveIntegerField(default=0)
    gold_misses = models.PositiveIntegerField(default=0)
    examined_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["project", "step", "-suspicion_nats"], name="standing_by_step")]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "annotator"], condition=Q(annotator__isnull=False), name="standing_of_annotator"
            ),
            models.UniqueConstraint(
                fields=["project", "respondent_hash"], condition=~Q(respondent_hash=""), name="standing_of_respondent"
            ),
            models.CheckConstraint(
                condition=Q(annotator__isnull=False, respondent_hash="")
                | (Q(annotator__isnull=True) & ~Q(respondent_hash="")),
                name="standing_of_one_source",
            ),
            models.CheckConstraint(condition=Q(weight__gte=0, weight__lte=1), name="standing_weight_in_range"),
            models.CheckConstraint(
                condition=Q(step__in=["none", "weight", "quarantine", "shadow_ignore", "block"]),
                name="standing_step_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotator or self.respondent_hash[:8]}: {self.step}"

    @property
    def step_meaning(self) -> str:
        return self.Step(self.step).meaning


class SourceDecision(models.Model):
    """The audit trail of a standing: every change of its step or weight, by the examination or a person. Append-only."""

    standing = models.ForeignKey(SourceStanding, on_delete=models.CASCADE, related_name="decisions")
    step_before = models.CharField(max_length=16, choices=SourceStanding.Step)
    step_after = models.CharField(max_length=16, choices=SourceStanding.Step)
    weight_after = models.FloatField()
    reasons = models.JSONField(default=list)
    comment = models.TextField(blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    step_before__in=["none", "weight", "quarantine", "shadow_ignore", "block"],
                    step_after__in=["none", "weight", "quarantine", "shadow_ignore", "block"],
                ),
                name="source_decision_steps_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step_before} to {self.step_after}"


class SourceExamination(models.Model):
    """That all sources of a project were judged, by how much evidence, and what came of it. Append-only."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="source_examinations", db_index=False)
    said_count = models.PositiveIntegerField(help_text="Answers and feedback stored when it began.")
    source_count = models.PositiveIntegerField(help_text="Sources known by name or hash.")
    judged_count = models.PositiveIntegerField(help_text="Of these, with enough answers to be judged.")
    changed_count = models.PositiveIntegerField(help_text="Standings whose step or weight changed.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "-id"], name="examination_newest")]

    def __str__(self) -> str:
        return f"examination {self.pk} of {self.project}"
