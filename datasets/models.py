from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import Annotation, Item, LabelSchema, Project


class PendingEvidence(models.Model):
    """An annotation that was recorded or withdrawn since the belief about its item was last worked out.

    A database trigger leaves the row in the transaction that changed the annotation (migration 0002), and the
    transaction that works out the belief takes it away. So it says nothing of its own: it only saves a search for
    what is new among all annotations.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False,
        # A check would make every submit of a project share a lock on one row; the annotation's own check suffices.
        db_constraint=False,
    )  # fmt: skip
    annotation = models.ForeignKey(Annotation, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "pending evidence"
        indexes = [models.Index(fields=["project", "id"], name="pending_by_project")]

    def __str__(self) -> str:
        return f"annotation {self.annotation_id} is not reflected yet"


class NextChange(models.Func):
    """The next number of a change to an accepted label, see `AcceptedLabel.change`."""

    template = "nextval('datasets_label_change')"
    output_field = models.BigIntegerField()


class AcceptedLabel(models.Model):
    """The consensus over the evidence for one item. Append-only: a newer belief supersedes the row, never edits it."""

    class Method(models.TextChoices):
        TRUSTED_ANNOTATION = "trusted_annotation", "One annotation by a trusted role"
        MAJORITY = "majority", "What most of several annotators said"
        GROUND_TRUTH = "ground_truth", "An annotation that is marked as certainly right"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="accepted_labels", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="accepted_labels")
    label_schema = models.ForeignKey(LabelSchema, on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=100, blank=True, help_text="Class key; empty where an answer is not one class.")
    answer = models.JSONField(help_text="In the form of the label schema's kind.")
    change = models.BigIntegerField(
        help_text="Grows with every label that is accepted or superseded; within a project in the order of the commits."
    )
    probability = models.FloatField(help_text="Posterior probability of the label.")
    method = models.CharField(max_length=32, choices=Method)
    evidence = models.ManyToManyField(Annotation, related_name="accepted_labels", help_text="What the belief rests on.")
    is_audit = models.BooleanField(default=False)
    reason = models.CharField(max_length=16, help_text="Why the item was asked, copied from its task.")
    propensity = models.FloatField(
        null=True, blank=True, help_text="Probability with which the item was drawn; empty if a person chose it."
    )
    accepted_at = models.DateTimeField(default=timezone.now)
    superseded_at = models.DateTimeField(
        null=True, blank=True, help_text="Set when a newer belief or a withdrawal replaced this one."
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["project", "id"], condition=Q(superseded_at__isnull=True), name="accepted_current"),
            models.Index(fields=["project", "change"], name="accepted_by_change"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["item"], condition=Q(superseded_at__isnull=True), name="accepted_one_current"
            ),
            models.CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1), name="accepted_probability_in_range"
            ),
            models.CheckConstraint(
                condition=Q(propensity__isnull=True) | Q(propensity__gt=0, propensity__lte=1),
                name="accepted_propensity_in_range",
            ),
            models.CheckConstraint(
                condition=Q(method__in=["trusted_annotation", "majority", "ground_truth"]), name="accepted_method_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label or 'an answer'} for item {self.item_id}"


class Snapshot(models.Model):
    """A dataset version. Once ready, its rows never change: a database trigger refuses it."""

    class State(models.TextChoices):
        BUILDING = "building", "Building"
        READY = "ready", "Ready"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="snapshots")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.BUILDING)
    label_schema = models.ForeignKey(LabelSchema, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=300, blank=True)
    content_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 over the canonical rows, hex.")
    row_count = models.PositiveIntegerField(default=0)
    split_counts = models.JSONField(default=dict, help_text="Rows by split.")
    class_counts = models.JSONField(default=dict, help_text="Rows by label.")
    audit_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["project_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="snapshot_number_unique"),
            models.CheckConstraint(
                condition=Q(state="building") | ~Q(content_hash=""), name="snapshot_ready_has_a_hash"
            ),
            models.CheckConstraint(condition=Q(state__in=["building", "ready"]), name="snapshot_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.project} snapshot {self.number}"


class SnapshotRow(models.Model):
    """One labelled item as it was when the snapshot was taken, payload included."""

    class Split(models.TextChoices):
        TRAIN = "train", "Train"
        VALIDATION = "validation", "Validation"
        TEST = "test", "Test"

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="rows", db_index=False)
    position = models.PositiveIntegerField(help_text="Place in the canonical order (by item key), from 0.")
    item_key = models.CharField(max_length=200)
    payload = models.JSONField()
    segments = models.JSONField(default=dict)
    label = models.CharField(max_length=100, blank=True)
    answer = models.JSONField(null=True, blank=True, help_text="Where the label's text does not say it all.")
    probability = models.FloatField()
    split = models.CharField(max_length=16, choices=Split)
    propensity = models.FloatField(null=True, blank=True)
    is_audit = models.BooleanField()
    accepted_label = models.ForeignKey(
        AcceptedLabel, on_delete=models.DO_NOTHING, related_name="+", db_index=False,
        # The row is frozen, so it goes on naming its origin even when that is deleted.
        db_constraint=False,
    )  # fmt: skip

    class Meta:
        ordering = ["snapshot_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "position"], name="snapshot_row_position_unique"),
            models.CheckConstraint(
                condition=Q(split__in=["train", "validation", "test"]), name="snapshot_row_split_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_key} in snapshot {self.snapshot_id}"
