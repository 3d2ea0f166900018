from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from datasets.models import Snapshot
from labeling.models import ModelVersion, Project


class RetrainingPolicy(models.Model):
    """When to retrain and how to promote. Versions are append-only; the highest one is in force."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="retraining_policies")
    version = models.PositiveIntegerField()
    trainer = models.CharField(max_length=32, default="auto", help_text="Name in training.trainers.registry, or auto.")
    min_new_labels = models.PositiveIntegerField(
        default=50, help_text="New accepted labels that start a run; 0 turns the trigger off."
    )
    growth_fraction = models.FloatField(
        default=0.1, help_text="... and at least this share of the labels of the last run."
    )
    cooldown_seconds = models.PositiveIntegerField(default=60)
    promotes_automatically = models.BooleanField(default=True, help_text="Promote a candidate that passes the gate.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["project_id", "-version"]
        verbose_name_plural = "retraining policies"
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="retraining_policy_version_unique"),
            models.CheckConstraint(condition=Q(growth_fraction__gte=0), name="retraining_policy_growth_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.project} retraining policy v{self.version}"


class TrainingRun(models.Model):
    """One retraining on a frozen snapshot. While it runs, its worker holds an advisory lock on its id."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    class Trigger(models.TextChoices):
        MANUAL = "manual", "Started by a person"
        VOLUME = "volume", "Enough new labels"
        API = "api", "Reported by an external trainer"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="training_runs")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="training_runs")
    trainer = models.CharField(max_length=32)
    trigger = models.CharField(max_length=16, choices=Trigger)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    seed = models.BigIntegerField(default=0)
    model_version = models.OneToOneField(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="training_run"
    )
    metrics = models.JSONField(default=dict, help_text="See training.services.runs.RunMetrics.")
    message = models.CharField(max_length=1000, blank=True, help_text="Why it failed, or what is notable.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(state__in=["pending", "running"]), name="training_run_one_active"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "running", "succeeded", "failed"]), name="training_run_state_known"
            ),
            models.CheckConstraint(
                condition=Q(trigger__in=["manual", "volume", "api"]), name="training_run_trigger_known"
            ),
        ]

    def __str__(self) -> str:
        return f"training run {self.pk} of {self.project}"


class Promotion(models.Model):
    """A decision about the champion, with the gate's findings."""

    class Outcome(models.TextChoices):
        PROMOTED = "promoted", "Promoted"
        REFUSED = "refused", "Refused by the gate"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="promotions")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="promotions")
    previous = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    outcome = models.CharField(max_length=16, choices=Outcome)
    is_forced = models.BooleanField(default=False, help_text="A person promoted it although the gate said no.")
    gate = models.JSONField(default=dict, help_text="See training.gates.GateResult.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=["promoted", "refused"]), name="promotion_outcome_known")
        ]

    def __str__(self) -> str:
        return f"{self.model_version} {self.outcome}"


class LearningCurvePoint(models.Model):
    """Accuracy after so many labels: of the deployed model, or of a control arm whose labels were drawn uniformly."""

    class Arm(models.TextChoices):
        ACTIVE = "active", "Actively chosen labels"
        RANDOM = "random", "Uniformly drawn labels"

    class Source(models.TextChoices):
        AUDIT = "audit", "Audit slice"
        TEST_SET = "test_set", "Separate test set"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="learning_curve_points")
    arm = models.CharField(max_length=16, choices=Arm)
    source = models.CharField(max_length=16, choices=Source)
    seed = models.BigIntegerField(default=0)
    label_count = models.PositiveIntegerField(help_text="All labels asked for so far, audit included.")
    accuracy = models.FloatField()
    accuracy_low = models.FloatField(help_text="Lower end of the 95% interval.")
    accuracy_high = models.FloatField(help_text="Upper end of the 95% interval.")
    evaluated_on = models.PositiveIntegerField(help_text="Rows the accuracy was measured on.")
    model_version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["project_id", "arm", "source", "label_count", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(accuracy_low__gte=0, accuracy_low__lte=models.F("accuracy"))
                & Q(accuracy__lte=models.F("accuracy_high"), accuracy_high__lte=1),
                name="learning_curve_interval_ordered",
            ),
            models.CheckConstraint(condition=Q(arm__in=["active", "random"]), name="learning_curve_arm_known"),
            models.CheckConstraint(condition=Q(source__in=["audit", "test_set"]), name="learning_curve_source_known"),
        ]

    def __str__(self) -> str:
        return f"{self.arm} {self.label_count}: {self.accuracy:.3f}"
