from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from labeling.models import Item, LabelSchema, Project


class AcceptancePolicy(models.Model):
    """When a label counts as known. Append-only: the newest version of a project is in force.

    A project without any has the method VOTES.
    """

    class Method(models.TextChoices):
        VOTES = "votes", "What most of those asked say"
        LABEL_MODEL = "label_model", "All evidence together, by the label model"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="acceptance_policies")
    version = models.PositiveIntegerField()
    method = models.CharField(max_length=16, choices=Method)
    threshold = models.FloatField(default=0.9, help_text="The posterior of the likeliest class must reach it.")
    thresholds_by_class = models.JSONField(default=dict, blank=True, help_text="By class key, where it differs.")
    least_evidence = models.PositiveSmallIntegerField(
        default=2, help_text="So many different sources must have said something."
    )
    least_annotations = models.PositiveSmallIntegerField(
        default=1, help_text="So many of them must be annotators; 0: respondents alone may decide."
    )
    most_answers = models.PositiveSmallIntegerField(
        default=5, help_text="After so many statements of the truth a reviewer must look, and nobody else is asked."
    )
    draws_first = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Every drawn item gets its first answer before any is asked about again: fewest answers for the whole pool, but "
        "labels come later.",
    )
    uses_corrections = models.BooleanField(default=True)
    uses_thumbs = models.BooleanField(default=True)
    uses_implicit = models.BooleanField(default=False, help_text="Clicks, copies, retries, .. as weak evidence.")
    uses_model = models.BooleanField(
        default=False,
        help_text="The champion's probabilities as a weak prior, capped. Makes errors of the model sticky.",
    )
    review_accuracy = models.FloatField(default=0.98, help_text="How often a reviewer's decision is taken to be right.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["project_id", "-version"]
        verbose_name_plural = "acceptance policies"
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="acceptance_policy_version_unique"),
            models.CheckConstraint(
                condition=Q(method__in=["votes", "label_model"]), name="acceptance_policy_method_known"
            ),
            models.CheckConstraint(
                condition=Q(threshold__gt=0, threshold__lte=1, review_accuracy__gt=0, review_accuracy__lt=1),
                name="acceptance_policy_probabilities",
            ),
            models.CheckConstraint(
                condition=Q(least_evidence__gte=1, most_answers__gte=1, least_annotations__lte=F("most_answers")),
                name="acceptance_policy_counts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} acceptance v{self.version}"


class BeliefRun(models.Model):
    """A fit of the label model over all evidence of a project. Beliefs about single items follow from its parameters."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="belief_runs")
    policy = models.ForeignKey(AcceptancePolicy, on_delete=models.PROTECT, related_name="+")
    label_schema = models.ForeignKey(LabelSchema, on_delete=models.PROTECT, related_name="+")
    classes = ArrayField(models.CharField(max_length=100), help_text="Class keys in the order of the posteriors.")
    evidence_count = models.PositiveIntegerField()
    evidence_by_kind = models.JSONField(default=dict, help_text="Pieces of it by their kind, see datasets.consensus.")
    evidence_hash = models.CharField(max_length=64, help_text="SHA-256 over the evidence it was fitted to, hex.")
    item_count = models.PositiveIntegerField()
    anchored_weight = models.FloatField(
        default=1.0, help_text="What an answer counted that agrees with the model's answer its giver had seen."
    )
    rounds = models.PositiveSmallIntegerField()
    has_converged = models.BooleanField()
    warnings = models.JSONField(default=list, help_text="Where the evidence cannot tell what is true: code, message.")
    parameters = models.BinaryField(help_text="What the sources are like, see datasets.parameter_file.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "-id"], name="belief_run_newest")]

    def __str__(self) -> str:
        return f"belief run {self.pk} of {self.project}"


class ItemBelief(models.Model):
    """What is believed of an item now, and what is to be done about it."""

    class Action(models.TextChoices):
        ACCEPT = "accept", "Accept"
        ASK = "ask", "Ask once more"
        REVIEW = "review", "A reviewer must look"

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True, related_name="belief")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    run = models.ForeignKey(BeliefRun, on_delete=models.PROTECT, related_name="+")
    posterior = models.BinaryField(help_text="float32, little endian, one per class of the run.")
    label = models.CharField(max_length=100, help_text="Key of the likeliest class.")
    probability = models.FloatField()
    evidence_count = models.PositiveIntegerField()
    action = models.CharField(max_length=16, choices=Action)
    reason = models.CharField(max_length=32, help_text="Code of what decided, see datasets.consensus.acceptance.")
    value = models.FloatField(help_text="What one more answer is expected to teach, in nats.")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["item_id"]
        indexes = [models.Index("project", "action", F("value").desc(), name="belief_by_action")]
        constraints = [
            models.CheckConstraint(condition=Q(action__in=["accept", "ask", "review"]), name="belief_action_known"),
            models.CheckConstraint(
                condition=Q(probability__gte=0, probability__lte=1), name="belief_probability_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.probability:.3f}) for item {self.item_id}"


class PendingItem(models.Model):
    """Something other than an annotation changed what is known of an item: feedback, a correction, a decision, gold, the
    standing of a source. Left by triggers (migration 0006) and services, taken away by whoever works out the belief.

    The triggers do so only in projects whose policy is LABEL_MODEL.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["project", "id"], name="pending_item_by_project")]

    def __str__(self) -> str:
        return f"item {self.item_id} is to be believed anew"
