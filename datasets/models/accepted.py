from django.db import models
from django.db.models import Q
from django.utils import timezone

from datasets.models.belief import BeliefRun
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
        MERGED = "merged", "Several answers merged"
        GROUND_TRUTH = "ground_truth", "An annotation that is marked as certainly right"
        LABEL_MODEL = "label_model", "All evidence together, by the label model"
        REVIEWED = "reviewed", "A reviewer decided"

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
    other_evidence = models.JSONField(
        default=dict, blank=True, help_text="Ids of what else the belief rests on: corrections, feedback, decisions."
    )
    run = models.ForeignKey(
        BeliefRun, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="The fit of the label model whose parameters gave the probability, if one did.",
    )  # fmt: skip
    is_audit = models.BooleanField(default=False)
    reason = models.CharField(
        max_length=16,
        help_text="Why the item was asked, copied from its task; “asked” where only respondents said something.",
    )
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
                condition=Q(
                    method__in=["trusted_annotation", "majority", "merged", "ground_truth", "label_model", "reviewed"]
                ),
                name="accepted_method_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label or 'an answer'} for item {self.item_id}"
