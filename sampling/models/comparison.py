from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import Project


class ArmComparison(models.Model):
    """The same learner on as many chosen and as many random labels, and what the next labels are expected to gain."""

    class Verdict(models.TextChoices):
        BETTER = "better", "Chosen labels are better"
        UNDECIDED = "undecided", "No difference is settled"
        WORSE = "worse", "Chosen labels are worse"
        TOO_FEW = "too_few", "Too few labels to tell"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="arm_comparisons")
    label_count = models.PositiveIntegerField(help_text="Accepted labels of the project at that time.")
    verdict = models.CharField(max_length=16, choices=Verdict)
    reason = models.CharField(max_length=300)
    trained_on = models.PositiveIntegerField(help_text="Labels each arm was trained on.")
    evaluated_on = models.PositiveIntegerField(help_text="Random labels both were measured on.")
    difference = models.FloatField(null=True, help_text="Accuracy with chosen labels minus that with random ones.")
    difference_low = models.FloatField(null=True)
    difference_high = models.FloatField(null=True)
    curve = models.JSONField(default=list, help_text="[{arm, labels, accuracy, low, high, evaluated_on}]")
    gain = models.FloatField(null=True, help_text="Expected rise of accuracy by the next labels.")
    gain_low = models.FloatField(null=True)
    gain_high = models.FloatField(null=True)
    gain_labels = models.PositiveIntegerField(default=0, help_text="How many next labels that is for.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["project_id", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "label_count"], name="arm_comparison_once_per_count"),
            models.CheckConstraint(
                condition=Q(verdict__in=["better", "undecided", "worse", "too_few"]),
                name="arm_comparison_verdict_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project}: {self.verdict} after {self.label_count} labels"
