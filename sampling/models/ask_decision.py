from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import Ask, Item, ModelVersion, Prediction, Project, QuestionVersion
from sampling.models.ask_policy import AskPolicy


class AskDecision(models.Model):
    """Whether a respondent was asked about a prediction at an opportunity, why, and with which chance. Yes and no alike."""

    class Reason(models.TextChoices):
        SELECTED = "selected", "Asked: it is worth it"
        AUDIT = "audit", "Asked: drawn by the audit share"
        CHECK = "check", "Asked about a known answer, to check the respondent"
        NOT_DRAWN = "not_drawn", "Not drawn"
        OFF = "off", "Asking is switched off"
        NO_QUESTION = "no_question", "No live question fits"
        NO_CONSENT = "no_consent", "No consent"
        OPTED_OUT = "opted_out", "Does not want to be asked"
        BLOCKED = "blocked", "Is blocked: what they said is not to be trusted"
        HOLDOUT = "holdout", "Is never asked, for comparison"
        QUIET = "quiet", "The app asked for quiet"
        CONCURRENT = "concurrent", "Another ask is open"
        COOLDOWN_SHOWN = "cooldown_shown", "Was asked a short time ago"
        COOLDOWN_DISMISSED = "cooldown_dismissed", "Dismissed an ask lately"
        COOLDOWN_ANSWERED = "cooldown_answered", "Answered lately"
        QUESTION_COOLDOWN = "question_cooldown", "Was asked this question lately"
        SESSION_CAP = "session_cap", "Was asked often enough in this session"
        WEEK_CAP = "week_cap", "Was asked often enough in 7 days"
        MONTH_CAP = "month_cap", "Was asked often enough in 30 days"
        LABELLED = "labelled", "The label is known already, or being asked for"
        PRIVACY_BUDGET = "privacy_budget", "Their privacy budget is used up"
        SEGMENT_QUOTA = "segment_quota", "The quota of their segment is used up"
        BUDGET = "budget", "The budget of the period is used up"
        DEGRADED = "degraded", "The counters cannot be reached, so nobody is asked"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="ask_decisions", db_index=False)
    opportunity_id = models.CharField(max_length=200, db_collation="C")
    policy = models.ForeignKey(AskPolicy, on_delete=models.PROTECT, related_name="decisions", db_index=False)
    question_version = models.ForeignKey(
        QuestionVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    item = models.ForeignKey(Item, null=True, blank=True, on_delete=models.CASCADE, related_name="ask_decisions")
    prediction = models.ForeignKey(
        Prediction, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    model_version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    ask = models.OneToOneField(Ask, null=True, blank=True, on_delete=models.SET_NULL, related_name="decision")
    respondent_hash = models.CharField(max_length=64, blank=True)
    segment = models.CharField(max_length=200, blank=True)
    is_ask = models.BooleanField()
    reason = models.CharField(max_length=32, choices=Reason)
    is_eligible = models.BooleanField(help_text="Whether it passed every gate, so that chance could decide.")
    is_blind = models.BooleanField(default=False)
    propensity = models.FloatField(
        null=True, blank=True, help_text="Chance of being asked; empty where a gate refused."
    )
    draw = models.FloatField(
        null=True, blank=True, help_text="What was drawn in [0, 1): asked where it is below the propensity."
    )
    utility = models.FloatField(null=True, blank=True)
    terms = models.JSONField(
        default=dict,
        help_text="What the utility is made of, and the state it rests on, so that another policy can be replayed.",
    )
    log_weight = models.FloatField(default=1.0, help_text="So many decisions like this one stand behind the row.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["project", "created_at"], name="ask_decision_by_time")]
        constraints = [
            models.UniqueConstraint(fields=["project", "opportunity_id"], name="ask_decision_once"),
            models.CheckConstraint(
                condition=Q(
                    reason__in=[
                        *("selected", "audit", "not_drawn", "off", "no_question", "no_consent", "opted_out", "holdout"),
                        *("quiet", "concurrent", "cooldown_shown", "cooldown_dismissed", "cooldown_answered"),
                        *("question_cooldown", "session_cap", "week_cap", "month_cap", "labelled", "privacy_budget"),
                        *("segment_quota", "budget", "degraded", "blocked", "check"),
                    ]
                ),
                name="ask_decision_reason_known",
            ),
            models.CheckConstraint(
                condition=Q(propensity__isnull=True) | Q(propensity__gte=0, propensity__lte=1),
                name="ask_decision_propensity_in_range",
            ),
            models.CheckConstraint(condition=Q(log_weight__gte=1), name="ask_decision_weight_in_range"),
        ]

    def __str__(self) -> str:
        return f"{self.opportunity_id}: {self.reason}"
