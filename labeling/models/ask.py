from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models.item import Item
from labeling.models.prediction import ModelVersion, Prediction
from labeling.models.project import Project
from labeling.models.question import QuestionVersion


class Ask(models.Model):
    """A question put to a respondent about a prediction, and what became of it.

    Why it was asked, and all that was not asked, is in sampling's log of decisions.
    """

    class State(models.TextChoices):
        OFFERED = "offered", "Offered to the app"
        SHOWN = "shown", "Shown"
        DISMISSED = "dismissed", "Dismissed"
        ANSWERED = "answered", "Answered"
        EXPIRED = "expired", "Expired"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="asks", db_index=False)
    opportunity_id = models.CharField(
        max_length=200, db_collation="C", help_text="The app's own name of the moment at which it could ask."
    )
    question_version = models.ForeignKey(QuestionVersion, on_delete=models.PROTECT, related_name="asks")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="asks")
    prediction = models.ForeignKey(Prediction, null=True, blank=True, on_delete=models.SET_NULL, related_name="asks")
    model_version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    predicted_answer = models.JSONField(
        null=True, blank=True, help_text="What the model said when it was asked about, in the form of the label schema."
    )
    is_blind = models.BooleanField(default=False, help_text="What the model said was hidden from the respondent.")
    respondent_hash = models.CharField(max_length=64, blank=True, help_text="Empty where the app named nobody.")
    session_hash = models.CharField(max_length=64, blank=True)
    segment = models.CharField(max_length=200, blank=True, help_text="Value of the policy's segment, for quotas.")
    propensity = models.FloatField(help_text="Probability with which this opportunity was to be asked.")
    is_audit = models.BooleanField(default=False, help_text="Asked by the uniform audit share.")
    state = models.CharField(max_length=16, choices=State, default=State.OFFERED)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    shown_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True, help_text="When the respondent began to answer.")
    dismissed_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            # What a respondent was asked lately decides whether they may be asked now.
            models.Index(fields=["project", "respondent_hash", "-created_at"], name="ask_by_respondent"),
            models.Index(fields=["project", "created_at"], name="ask_by_time"),
            models.Index(fields=["project", "id"], condition=Q(state="answered"), name="ask_answered"),
            models.Index(fields=["expires_at"], condition=Q(state__in=["offered", "shown"]), name="ask_to_expire"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "opportunity_id"], name="ask_once_per_opportunity"),
            models.CheckConstraint(
                condition=Q(state__in=["offered", "shown", "dismissed", "answered", "expired"]), name="ask_state_known"
            ),
            models.CheckConstraint(condition=Q(propensity__gt=0, propensity__lte=1), name="ask_propensity_in_range"),
            models.CheckConstraint(
                condition=~Q(state="answered") | Q(answered_at__isnull=False), name="ask_answered_has_a_time"
            ),
            models.CheckConstraint(
                condition=~Q(state="dismissed") | Q(dismissed_at__isnull=False), name="ask_dismissed_has_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"ask {self.pk} ({self.state})"
