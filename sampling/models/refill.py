import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import EmbeddingSpace, ModelVersion, Project
from sampling.models.policy import QueuePolicy
from sampling.models.surrogate import Surrogate


class RefillRun(models.Model):
    """One scoring of the pool and one drawn batch."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    class Trigger(models.TextChoices):
        MANUAL = "manual", "Started by a person"
        QUEUE_LOW = "queue_low", "The queue ran low"
        PROMOTION = "promotion", "A new champion"
        SCHEDULE = "schedule", "On schedule"

    class Phase(models.TextChoices):
        COLD_START = "cold_start", "Cold start"
        ACTIVE = "active", "By informativeness"
        FALLBACK = "fallback", "At random: chosen labels did worse"

    batch = models.UUIDField(
        default=uuid.uuid4, unique=True, editable=False, help_text="Named by the tasks this run drew."
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="refill_runs")
    policy = models.ForeignKey(QueuePolicy, on_delete=models.PROTECT, related_name="refill_runs")
    model_version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    surrogate = models.ForeignKey(
        Surrogate,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who scored the pool, if it was not the model version.",
    )
    space = models.ForeignKey(
        EmbeddingSpace,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Whose vectors were used.",
    )
    phase = models.CharField(max_length=16, choices=Phase, blank=True)
    phase_reason = models.CharField(max_length=300, blank=True)
    rule = models.CharField(max_length=24, blank=True, help_text="Batch rule that chose the active part.")
    wanted_count = models.PositiveIntegerField(null=True, blank=True, help_text="How many items were to be drawn.")
    pool_record = models.BinaryField(
        null=True, blank=True, help_text="The items it could draw; kept of newer runs only, see sampling.pool_record."
    )
    score_digest = models.CharField(
        max_length=32, blank=True, help_text="Of ids and scores: a replay that finds another one had other scores."
    )
    trigger = models.CharField(max_length=16, choices=Trigger)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    seed = models.BigIntegerField(help_text="Seeds the random generator: the same pool and seed give the same batch.")
    replaces_open_tasks = models.BooleanField(default=False, help_text="Withdraw first what waits for an annotator.")
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="How often a worker began it; more than one means that workers died."
    )
    pool_size = models.PositiveIntegerField(null=True, blank=True)
    withdrawn_count = models.PositiveIntegerField(default=0)
    selected_count = models.PositiveIntegerField(default=0)
    audit_count = models.PositiveIntegerField(default=0)
    read_ms = models.FloatField(null=True, blank=True)
    score_ms = models.FloatField(null=True, blank=True)
    write_ms = models.FloatField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True, help_text="Why it failed or selected nothing.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        # Finds the last run that succeeded, which is asked for after every answer.
        indexes = [models.Index(fields=["project", "state", "-id"], name="refill_run_newest")]
        constraints = [
            models.UniqueConstraint(fields=["project"], condition=Q(state="pending"), name="refill_run_one_pending"),
            models.CheckConstraint(
                condition=Q(state="pending", finished_at__isnull=True)
                | (~Q(state="pending") & Q(finished_at__isnull=False)),
                name="refill_run_finished_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "succeeded", "failed"]), name="refill_run_state_known"
            ),
            models.CheckConstraint(
                condition=Q(trigger__in=["manual", "queue_low", "promotion", "schedule"]),
                name="refill_run_trigger_known",
            ),
            models.CheckConstraint(
                condition=Q(phase__in=["", "cold_start", "active", "fallback"]), name="refill_run_phase_known"
            ),
        ]

    def __str__(self) -> str:
        return f"refill {self.pk} of {self.project}"


class RefillShard(models.Model):
    """A range of item ids that one worker summarises for a run; whoever ends the last one draws the batch."""

    run = models.ForeignKey(RefillRun, on_delete=models.CASCADE, related_name="shards")
    number = models.PositiveSmallIntegerField()
    first_item = models.BigIntegerField(help_text="Smallest item id of the range.")
    end_item = models.BigIntegerField(help_text="First item id beyond the range.")
    summary = models.BinaryField(null=True, blank=True, help_text="See sampling.pool_summary; empty until it is done.")
    pool_record = models.BinaryField(null=True, blank=True, help_text="See sampling.pool_record.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often a worker began it.")
    read_ms = models.FloatField(null=True, blank=True)
    score_ms = models.FloatField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="refill_shard_number_unique"),
            models.CheckConstraint(
                condition=Q(first_item__lt=models.F("end_item")), name="refill_shard_range_not_empty"
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, summary__isnull=True)
                | Q(finished_at__isnull=False, summary__isnull=False),
                name="refill_shard_finished_has_a_summary",
            ),
        ]

    def __str__(self) -> str:
        return f"shard {self.number} of refill {self.run_id}"
