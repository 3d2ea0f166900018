from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import EmbeddingSpace, Item, Project


class Surrogate(models.Model):
    """A committee trained from the accepted labels, for pools that no model of the app scores. The newest ready one scores."""

    class State(models.TextChoices):
        TRAINING = "training", "Training"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    class Fit(models.TextChoices):
        FULL = "full", "Trained anew"
        PARTIAL = "partial", "Went on learning"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="surrogates")
    number = models.PositiveIntegerField()
    space = models.ForeignKey(
        EmbeddingSpace, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", help_text="What it reads."
    )
    state = models.CharField(max_length=16, choices=State, default=State.TRAINING)
    fit = models.CharField(max_length=16, choices=Fit, default=Fit.FULL)
    classes = ArrayField(models.CharField(max_length=100), default=list)
    members = models.PositiveSmallIntegerField(default=0, help_text="Size of the committee.")
    label_count = models.PositiveIntegerField(default=0, help_text="Accepted labels it was trained on.")
    trained_through = models.BigIntegerField(default=0, help_text="The newest change of labels that it knows.")
    accuracy = models.FloatField(null=True, blank=True, help_text="On the audit labels, which it is never trained on.")
    audit_count = models.PositiveIntegerField(default=0, help_text="Audit labels that the accuracy rests on.")
    temperature = models.FloatField(null=True, blank=True, help_text="Of the calibration of its probabilities.")
    artifact = models.CharField(max_length=300, blank=True)
    seed = models.BigIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    scored_count = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=500, blank=True, help_text="Why it failed, or what is notable.")
    created_at = models.DateTimeField(default=timezone.now)
    trained_at = models.DateTimeField(null=True, blank=True)
    scored_at = models.DateTimeField(null=True, blank=True, help_text="When it last went over the whole pool.")

    class Meta:
        ordering = ["project_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="surrogate_number_unique"),
            models.UniqueConstraint(
                fields=["project"], condition=Q(state="training"), name="surrogate_one_in_training"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["training", "ready", "failed"]), name="surrogate_state_known"
            ),
            models.CheckConstraint(condition=Q(fit__in=["full", "partial"]), name="surrogate_fit_known"),
            models.CheckConstraint(
                condition=~Q(state="ready") | Q(members__gte=1, trained_at__isnull=False),
                name="surrogate_ready_has_members",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} surrogate {self.number}"


class SurrogateScore(models.Model):
    """What the members of a surrogate's committee say of an item."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True, related_name="+")
    # As in PoolEntry: copies without a constraint of their own.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    surrogate = models.ForeignKey(
        Surrogate, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    committee = models.BinaryField(
        help_text="float32, little endian: members x classes, row by row, in the order of the surrogate's classes."
    )
    scored_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["project", "surrogate", "item"], name="surrogate_score_by_project")]

    def __str__(self) -> str:
        return f"surrogate score of item {self.item_id}"
