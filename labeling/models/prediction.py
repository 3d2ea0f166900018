from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT
from django.db.models.functions import Left
from django.utils import timezone

from labeling.models.project import Project


class ModelVersion(models.Model):
    """Which model made a prediction. At most one version of a project is its champion."""

    class Stage(models.TextChoices):
        CANDIDATE = "candidate", "Candidate"
        CHAMPION = "champion", "Champion"
        RETIRED = "retired", "Retired"
        REJECTED = "rejected", "Rejected"

    class Origin(models.TextChoices):
        APP = "app", "Registered over the API"
        TRAINER = "trainer", "Built-in trainer"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="model_versions")
    name = models.CharField(max_length=100)
    stage = models.CharField(max_length=16, choices=Stage, default=Stage.CANDIDATE)
    origin = models.CharField(max_length=16, choices=Origin, default=Origin.APP)
    classes = ArrayField(
        models.CharField(max_length=100),
        help_text="Class keys in the order of the packed probabilities; never changes.",
    )
    description = models.TextField(blank=True)
    artifact = models.CharField(
        max_length=300,
        blank=True,
        help_text="Path below the artifact directory; empty for models that live in the app.",
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["project_id", "-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="model_version_name_unique"),
            models.UniqueConstraint(
                fields=["project"], condition=Q(stage="champion"), name="model_version_one_champion"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="model_version_has_a_name"),
            models.CheckConstraint(
                condition=Q(stage__in=["candidate", "champion", "retired", "rejected"]),
                name="model_version_stage_known",
            ),
            models.CheckConstraint(condition=Q(origin__in=["app", "trainer"]), name="model_version_origin_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_champion(self) -> bool:
        return self.stage == self.Stage.CHAMPION


class Prediction(models.Model):
    """What a model version said of an item, and in what context it said so last."""

    item = models.ForeignKey("labeling.Item", on_delete=models.CASCADE, related_name="predictions", db_index=False)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="predictions")
    probabilities = models.BinaryField(help_text="float32, little endian, in the order of the model version's classes.")
    predicted_class = models.CharField(max_length=100, blank=True, help_text="Empty where an answer is not one class.")
    answer = models.JSONField(
        null=True,
        blank=True,
        help_text="The model's answer in the form of the label schema, where classes cannot say it.",
    )
    confidence = models.FloatField(help_text="Probability of the predicted class or answer.")
    respondent_hash = models.CharField(
        max_length=64, blank=True, help_text="Keyed hash of the end user the prediction was made for."
    )
    context = models.JSONField(
        default=dict, help_text="Inference context: request_id, position, candidates, latency_ms, app fields."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [
            # Feedback finds its prediction by the app's name of the inference. Shortened, for an index has bounds.
            models.Index(
                Left(KT("context__request_id"), 200),
                condition=Q(context__has_key="request_id"),
                name="prediction_by_request",
            ),
            models.Index(fields=["respondent_hash"], condition=~Q(respondent_hash=""), name="prediction_by_respondent"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["item", "model_version"], name="prediction_once_per_version"),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1), name="prediction_confidence_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.predicted_class} ({self.confidence:.2f})"
