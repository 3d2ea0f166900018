from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import Project


class ArmComparison(models.Model):
    """The same learner trained on as many actively chosen and as many random labels, on labels neither was trained on."""

    class Verdict(models.TextChoices):
        BETTER = "better", "Active labels are better"
        UNDECIDED = "undecided", "No difference is settled"
        WORSE = "worse", "Active labels are worse"
        TOO_FEW = "too_few", "Too few labels to tell"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="arm_comparisons")
    label_count = models.PositiveIntegerField(help_text="Accepted labels of the project at that time.")
    trained_on = models.PositiveIntegerField(help_text="Labels each arm was trained on.")
    evaluated_on = models.PositiveIntegerField(help_text="Audit labels both were measured on.")
    active_correct = models.PositiveIntegerField()
    random_correct = models.PositiveIntegerField()
    gained = models.PositiveIntegerField(help_text="Right by the active arm only.")
    lost = models.PositiveIntegerField(help_text="Right by the random arm only.")
    difference = models.FloatField(
        null=True, blank=True, help_text="Accuracy of the active arm minus the random arm's."
    )
    difference_low = models.FloatField(null=True, blank=True)
    difference_high = models.FloatField(null=True, blank=True)
    verdict = models.CharField(max_length=16, choices=Verdict)
    reason = models.CharField(max_length=300, blank=True)
    curve = models.JSONField(
        default=list,
        help_text="Accuracy of the learner on all audit labels after growing parts of the labels: "
        "[{labels, correct, evaluated_on}].",
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["project_id", "-id"]
        indexes = [models.Index(fields=["project", "-id"], name="arm_comparison_newest")]
        constraints = [
            models.UniqueConstraint(fields=["project", "label_count"], name="arm_comparison_once_per_count"),
            models.CheckConstraint(
                condition=Q(verdict__in=["better", "undecided", "worse", "too_few"]),
                name="arm_comparison_verdict_known",
            ),
            models.CheckConstraint(
                condition=Q(active_correct__lte=models.F("evaluated_on"), random_correct__lte=models.F("evaluated_on")),
                name="arm_comparison_counts_fit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project}: {self.verdict} after {self.label_count} labels"
