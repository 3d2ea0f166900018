import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import ModelVersion, Project


class QueuePolicy(models.Model):
    """How the queue is filled. Versions are append-only; the highest one is in force."""

    class BatchRule(models.TextChoices):
        STOCHASTIC = "stochastic", "Stochastic acquisition"
        TOP_K = "top_k", "The k most informative"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="queue_policies")
    version = models.PositiveIntegerField()
    strategy = models.CharField(max_length=32, default="margin", help_text="Name in sampling.strategies.registry.")
    batch_rule = models.CharField(max_length=16, choices=BatchRule, default=BatchRule.STOCHASTIC)
    beta = models.FloatField(default=6.0, help_text="Power on informativeness: 0 draws uniformly, large is greedy.")
    epsilon = models.FloatField(default=0.1, help_text="Share of draws that go to the audit slice.")
    batch_size = models.PositiveIntegerField(default=100, help_text="Open tasks after a refill.")
    low_watermark = models.PositiveIntegerField(default=20, help_text="A refill starts when fewer tasks are open.")
    answers_per_item = models.PositiveSmallIntegerField(
        default=1, help_text="So many different people are asked about each item."
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["project_id", "-version"]
        verbose_name_plural = "queue policies"
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="queue_policy_version_unique"),
            models.CheckConstraint(condition=Q(beta__gte=0, beta__lte=50), name="queue_policy_beta_in_range"),
            models.CheckConstraint(condition=Q(epsilon__gte=0, epsilon__lte=1), name="queue_policy_epsilon_in_range"),
            models.CheckConstraint(
                condition=Q(batch_size__gte=1, low_watermark__lte=models.F("batch_size")),
                name="queue_policy_watermark_below_batch",
            ),
            models.CheckConstraint(
                condition=Q(answers_per_item__gte=1, answers_per_item__lte=20), name="queue_policy_answers_in_range"
            ),
            models.CheckConstraint(condition=Q(batch_rule__in=["stochastic", "top_k"]), name="queue_policy_rule_known"),
        ]

    def __str__(self) -> str:
        return f"{self.project} queue policy v{self.version}"


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

    batch = models.UUIDField(
        default=uuid.uuid4, unique=True, editable=False, help_text="Named by the tasks this run drew."
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="refill_runs")
    policy = models.ForeignKey(QueuePolicy, on_delete=models.PROTECT, related_name="refill_runs")
    model_version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
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
        ]

    def __str__(self) -> str:
        return f"refill {self.pk} of {self.project}"
