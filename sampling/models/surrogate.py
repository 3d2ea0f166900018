from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import EmbeddingSpace, Project


class Surrogate(models.Model):
    """A committee trained from the accepted labels, for pools that no model of the app scores. The newest ready one scores.

    It scores vectors when a refill asks, so what it says of an item is never older than the refill.
    """

    class State(models.TextChoices):
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    class Fit(models.TextChoices):
        FULL = "full", "Trained anew"
        PARTIAL = "partial", "Went on learning"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="surrogates")
    number = models.PositiveIntegerField()
    space = models.ForeignKey(EmbeddingSpace, on_delete=models.CASCADE, related_name="+", help_text="What it reads.")
    state = models.CharField(max_length=16, choices=State)
    fit = models.CharField(max_length=16, choices=Fit, default=Fit.FULL)
    classes = ArrayField(models.CharField(max_length=100), default=list)
    members = models.PositiveSmallIntegerField(default=0, help_text="Size of the committee.")
    label_count = models.PositiveIntegerField(help_text="Accepted labels it knows.")
    fitted_labels = models.PositiveIntegerField(default=0, help_text="Labels it had when it was last trained anew.")
    change = models.BigIntegerField(help_text="The newest change of a label that it knows of.")
    accuracy = models.FloatField(null=True, blank=True, help_text="On the audit labels, which it is never trained on.")
    audit_count = models.PositiveIntegerField(default=0, help_text="Audit labels that the accuracy rests on.")
    temperature = models.FloatField(null=True, blank=True, help_text="Of the calibration of its probabilities.")
    artifact = models.CharField(max_length=300, blank=True)
    seconds = models.FloatField(default=0.0, help_text="What the training took.")
    message = models.CharField(max_length=500, blank=True, help_text="Why it failed, or what is notable.")
    trained_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["project_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="surrogate_number_unique"),
            models.CheckConstraint(condition=Q(state__in=["ready", "failed"]), name="surrogate_state_known"),
            models.CheckConstraint(condition=Q(fit__in=["full", "partial"]), name="surrogate_fit_known"),
            models.CheckConstraint(
                condition=~Q(state="ready") | (Q(members__gte=1) & ~Q(artifact="")), name="surrogate_ready_has_members"
            ),
        ]

    def __str__(self) -> str:
        return f"surrogate {self.number}"
