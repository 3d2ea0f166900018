from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from labeling.models import Item, LabelSchema, Project


class GoldItem(models.Model):
    """An item whose true answer is known. It tests and teaches annotators, and its truth is given to the label model."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="gold")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gold_items")
    label_schema = models.ForeignKey(LabelSchema, on_delete=models.PROTECT, related_name="+")
    answer = models.JSONField(help_text="In the form of the label schema's kind.")
    explanation = models.TextField(blank=True, help_text="Shown to annotators in training after their answer.")
    is_active = models.BooleanField(default=True, help_text="Whether it is still mixed into annotators' work.")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"gold of item {self.item_id}"


class ReviewCase(models.Model):
    """An item that a reviewer is to decide about, and why."""

    class Kind(models.TextChoices):
        DISAGREEMENT = "disagreement", "The evidence does not settle it"
        LABEL_ERROR = "label_error", "A model that never saw the label contradicts it"
        FLAGGED = "flagged", "An annotator asks for a look"
        MANUAL = "manual", "Sent here by a person"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        DECIDED = "decided", "Decided"
        SENT_BACK = "sent_back", "Sent back to annotators"
        AMBIGUOUS = "ambiguous", "Ambiguous"
        SETTLED = "settled", "Settled by later evidence"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="review_cases", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="review_cases")
    kind = models.CharField(max_length=16, choices=Kind)
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    value = models.FloatField(default=0.0, help_text="What a decision is expected to be worth; the highest come first.")
    detail = models.JSONField(default=dict, blank=True, help_text="Of a label error: score, suggested class, ..")
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    claimed_until = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index("project", F("value").desc(), "id", condition=Q(state="open"), name="review_open"),
            models.Index(fields=["project", "state", "-closed_at"], name="review_by_state"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["item"], condition=Q(state="open"), name="review_one_open_per_item"),
            models.CheckConstraint(
                condition=Q(state="open", closed_at__isnull=True) | (~Q(state="open") & Q(closed_at__isnull=False)),
                name="review_closed_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "decided", "sent_back", "ambiguous", "settled"]),
                name="review_state_known",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["disagreement", "label_error", "flagged", "manual"]), name="review_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"review of item {self.item_id} ({self.state})"


class ReviewDecision(models.Model):
    """What a reviewer did about a case: the trail of its states. Append-only: the newest of a reviewer about an item is
    evidence about its label."""

    class Action(models.TextChoices):
        OPEN = "open", "Sent to review"
        DECIDE = "decide", "Decided"
        SEND_BACK = "send_back", "Sent back"
        AMBIGUOUS = "ambiguous", "Marked ambiguous"
        GOLD = "gold", "Made gold"
        REOPEN = "reopen", "Opened again"

    case = models.ForeignKey(ReviewCase, on_delete=models.CASCADE, related_name="decisions")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="review_decisions")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=16, choices=Action)
    label_schema = models.ForeignKey(LabelSchema, on_delete=models.PROTECT, related_name="+")
    answer = models.JSONField(null=True, blank=True, help_text="In the form of the label schema's kind.")
    comment = models.TextField(blank=True)
    saw_suggestion = models.BooleanField(
        default=False, help_text="Whether the reviewer had asked for the model's answer."
    )
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(action__in=["open", "decide", "send_back", "ambiguous", "gold", "reopen"]),
                name="review_decision_action_known",
            ),
            models.CheckConstraint(
                condition=~Q(action__in=["decide", "gold"]) | Q(answer__isnull=False),
                name="review_decision_has_an_answer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} of item {self.item_id}"
