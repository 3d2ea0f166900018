from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from datasets.models.accepted import AcceptedLabel
from labeling.models import LabelSchema, Project


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
