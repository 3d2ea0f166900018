from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import Project

_DAY = 86_400


class AskPolicy(models.Model):
    """Whom to ask, about what, and how often. Versions are append-only; the highest one is in force.

    sampling.asking says what each number does.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="ask_policies")
    version = models.PositiveIntegerField()
    is_asking = models.BooleanField(default=True, help_text="Off: every opportunity is logged and nobody is asked.")

    needs_consent = models.BooleanField(default=False, help_text="Ask only where the app says consent=true.")
    holdout_share = models.FloatField(
        default=0.05, help_text="Share of respondents who are never asked, so that the harm of asking can be measured."
    )
    cooldown_shown_seconds = models.PositiveIntegerField(default=_DAY, help_text="No ask so long after the last one.")
    cooldown_dismissed_seconds = models.PositiveIntegerField(default=7 * _DAY, help_text="After one was dismissed.")
    cooldown_answered_seconds = models.PositiveIntegerField(default=3 * _DAY, help_text="After one was answered.")
    question_cooldown_seconds = models.PositiveIntegerField(
        default=7 * _DAY, help_text="Not the same question again so long after it was asked."
    )
    most_per_session = models.PositiveSmallIntegerField(default=1)
    most_per_7_days = models.PositiveSmallIntegerField(default=2)
    most_per_30_days = models.PositiveSmallIntegerField(default=6)

    budget_asks = models.PositiveIntegerField(
        null=True, blank=True, help_text="Never more asks than this in a period; empty: no budget."
    )
    budget_period_seconds = models.PositiveIntegerField(default=30 * _DAY)
    segment = models.CharField(
        max_length=200, blank=True, help_text="Segment with quotas and target shares; empty: none."
    )
    segment_quotas = models.JSONField(
        default=dict, blank=True, help_text="Most asks in a budget period by value, e.g. {'de': 100}."
    )
    segment_targets = models.JSONField(
        default=dict, blank=True, help_text="Wanted share of the labels by value, e.g. {'de': 0.5}."
    )

    threshold = models.FloatField(default=0.3, help_text="Utility at which an opportunity is asked half of the time.")
    temperature = models.FloatField(default=0.1, help_text="How sharply the chance rises around the threshold.")
    audit_share = models.FloatField(
        default=0.05, help_text="Asked whatever the utility: the honest sample of opportunities."
    )
    check_share = models.FloatField(
        default=0.0,
        help_text="Chance to ask about an item whose answer is known, so that little-known respondents are checked.",
    )
    check_until_answers = models.PositiveSmallIntegerField(
        default=5, help_text="Respondents are checked until so many of their answers were found right or wrong."
    )
    least_propensity = models.FloatField(default=0.01)
    most_propensity = models.FloatField(default=0.9)
    blind_share = models.FloatField(default=0.2, help_text="Asked without showing what the model said.")
    fatigue_weight = models.FloatField(default=0.1)
    fatigue_half_life_seconds = models.PositiveIntegerField(default=7 * _DAY)
    privacy_cap = models.FloatField(default=8.0, help_text="Lifetime privacy budget of a respondent, epsilon.")
    ask_lifetime_seconds = models.PositiveIntegerField(default=_DAY, help_text="How long an ask can be answered.")
    logged_share_of_no = models.FloatField(
        default=1.0, help_text="Share of the decisions not to ask that is logged; each with this weight."
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["project_id", "-version"]
        verbose_name_plural = "ask policies"
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="ask_policy_version_unique"),
            models.CheckConstraint(
                condition=Q(holdout_share__gte=0, holdout_share__lt=1), name="ask_policy_holdout_in_range"
            ),
            models.CheckConstraint(
                condition=Q(
                    least_propensity__gt=0,
                    least_propensity__lte=models.F("most_propensity"),
                    most_propensity__lte=1,
                ),
                name="ask_policy_propensities_in_range",
            ),
            models.CheckConstraint(
                condition=Q(audit_share__gte=0, audit_share__lte=1), name="ask_policy_audit_in_range"
            ),
            models.CheckConstraint(
                condition=Q(check_share__gte=0, check_share__lte=1), name="ask_policy_check_in_range"
            ),
            models.CheckConstraint(
                condition=Q(blind_share__gte=0, blind_share__lte=1), name="ask_policy_blind_in_range"
            ),
            models.CheckConstraint(condition=Q(temperature__gt=0), name="ask_policy_temperature_positive"),
            models.CheckConstraint(
                condition=Q(logged_share_of_no__gt=0, logged_share_of_no__lte=1), name="ask_policy_logged_in_range"
            ),
            models.CheckConstraint(
                condition=Q(budget_period_seconds__gte=3_600, ask_lifetime_seconds__gte=60),
                name="ask_policy_times_in_range",
            ),
            models.CheckConstraint(
                condition=Q(fatigue_weight__gte=0, fatigue_half_life_seconds__gte=1, privacy_cap__gte=0),
                name="ask_policy_weights_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} ask policy v{self.version}"
