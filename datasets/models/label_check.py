from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from datasets.models.accepted import AcceptedLabel
from labeling.models import Item, Project


class LabelCheck(models.Model):
    """A cross-validation over a project's current labels: each is predicted by a model that never saw it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="label_checks", db_index=False)
    trainer = models.CharField(max_length=50, blank=True)
    folds = models.PositiveSmallIntegerField(default=0)
    seed = models.BigIntegerField(default=0)
    classes = ArrayField(models.CharField(max_length=100), default=list, help_text="Columns of the probabilities.")
    label_count = models.PositiveIntegerField(default=0, help_text="Labels that were predicted.")
    unreadable_count = models.PositiveIntegerField(default=0, help_text="Labels of items that the trainer cannot read.")
    agreement = models.FloatField(null=True, help_text="Share of the labels that are the likeliest class.")
    last_change = models.BigIntegerField(help_text="Number of the newest change of a label when it began.")
    message = models.TextField(blank=True, help_text="Why nothing was predicted.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "-id"], name="label_check_newest")]

    def __str__(self) -> str:
        return f"check {self.pk} of the labels of {self.project}"


class HeldOutPrediction(models.Model):
    """What a check said of a label; of the newest check of a project only."""

    accepted_label = models.OneToOneField(
        AcceptedLabel, on_delete=models.CASCADE, primary_key=True, related_name="held_out"
    )
    run = models.ForeignKey(LabelCheck, on_delete=models.CASCADE, related_name="predictions")
    probabilities = models.BinaryField(help_text="float32, little endian, one per class of the check.")

    class Meta:
        ordering = ["accepted_label_id"]

    def __str__(self) -> str:
        return f"held-out prediction of label {self.accepted_label_id}"


class SuspectLabel(models.Model):
    """A label that looks wrong by the newest search, and why."""

    class Source(models.TextChoices):
        CROSS_VALIDATION = "cross_validation", "Cross-validation"
        PREDICTION = "prediction", "A model's prediction"

    accepted_label = models.OneToOneField(
        AcceptedLabel, on_delete=models.CASCADE, primary_key=True, related_name="suspicion"
    )
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="suspect_labels", db_index=False)
    source = models.CharField(max_length=16, choices=Source)
    model = models.CharField(max_length=200, help_text="Name of the model version, or of the trainer.")
    score = models.FloatField(help_text="Best other class minus that of the label; higher = more suspicious.")
    self_confidence = models.FloatField(help_text="Probability of the label's own class.")
    suggested = models.CharField(max_length=100, help_text="Key of the class that is likelier.")
    found_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-score", "accepted_label_id"]
        indexes = [models.Index(fields=["project", "-score", "accepted_label"], name="suspect_label_worst_first")]
        constraints = [
            models.CheckConstraint(
                condition=Q(source__in=["cross_validation", "prediction"]), name="suspect_label_source_known"
            ),
            models.CheckConstraint(
                condition=Q(score__gte=-1, score__lte=1, self_confidence__gte=0, self_confidence__lte=1),
                name="suspect_label_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"label {self.accepted_label_id} looks wrong ({self.score:.2f})"
