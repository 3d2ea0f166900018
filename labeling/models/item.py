from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models.prediction import ModelVersion
from labeling.models.project import Project


class Item(models.Model):
    """A thing to be labelled, named by the client's own key."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="items", db_index=False)
    key = models.CharField(max_length=200, db_collation="C")
    payload = models.JSONField(
        help_text="What an annotator sees and a trainer learns from: text, features, pixels, ..."
    )
    segments = models.JSONField(default=dict, help_text="Named groups the item belongs to, e.g. {'country': 'de'}.")
    bucket = models.PositiveSmallIntegerField(help_text="Permanent random number 0..9999, see labeling.splitting.")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["project", "id"], name="item_by_project")]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="item_key_unique"),
            models.CheckConstraint(condition=~Q(key=""), name="item_key_not_empty"),
            models.CheckConstraint(condition=Q(bucket__lt=10_000), name="item_bucket_in_range"),
        ]

    def __str__(self) -> str:
        return self.key


class PoolEntry(models.Model):
    """The narrow side of an item: what scoring reads, a million rows at a time, and nothing else."""

    class State(models.IntegerChoices):
        AVAILABLE = 0, "available"
        QUEUED = 1, "queued"
        ANSWERED = 2, "answered"
        UNUSABLE = 3, "unusable"

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True, related_name="pool_entry")
    # Copies without a constraint of their own: the item's and the prediction's already hold, and each would be checked
    # again row by row in every import and promotion, at a quarter of the total cost.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    state = models.PositiveSmallIntegerField(choices=State, default=State.AVAILABLE)
    bucket = models.PositiveSmallIntegerField(help_text="Copy of Item.bucket, so that scoring reads one table.")
    model_version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False,
        help_text="Whose probabilities these are: the champion's, as of scored_at.",
    )  # fmt: skip
    probabilities = models.BinaryField(
        null=True, blank=True, help_text="float32, little endian, in the order of the model version's classes."
    )
    scored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "item"], condition=Q(state=0), name="pool_available"),
            models.Index(fields=["project", "state"], name="pool_by_state"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[0, 1, 2, 3]), name="pool_state_known"),
            models.CheckConstraint(
                condition=Q(probabilities__isnull=True, scored_at__isnull=True)
                | Q(probabilities__isnull=False, scored_at__isnull=False),
                name="pool_scores_have_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"pool entry of item {self.item_id}"
