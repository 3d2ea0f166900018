from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models.project import Project


class Question(models.Model):
    """What respondents are asked. Its wording and its objective are in its versions, the newest of which is asked."""

    class State(models.TextChoices):
        LIVE = "live", "Live"
        PAUSED = "paused", "Paused"
        ENDED = "ended", "Ended"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="questions")
    key = models.SlugField(max_length=64)
    state = models.CharField(max_length=16, choices=State, default=State.LIVE)
    ended_reason = models.CharField(
        max_length=300, blank=True, help_text="Why nobody is asked any more: target reached, deadline passed, a person."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["project_id", "key"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="question_key_unique"),
            models.CheckConstraint(condition=Q(state__in=["live", "paused", "ended"]), name="question_state_known"),
        ]

    def __str__(self) -> str:
        return self.key


class QuestionVersion(models.Model):
    """A wording of a question and what its answers are for. Append-only: an ask keeps the version it was made with."""

    class Kind(models.TextChoices):
        THUMBS = "thumbs", "Thumbs up or down"
        RATING = "rating", "Rating or stars"
        SINGLE_CHOICE = "single_choice", "One of several"
        MULTIPLE_CHOICE = "multiple_choice", "Any of several"
        CORRECTION = "correction", "Is this right? If not, what is?"
        TEXT = "text", "Free text"
        PREFERENCE = "preference", "Which of two is better"
        SURVEY = "survey", "Short survey"

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=32, choices=Kind)
    definition = models.JSONField(help_text="See labeling.questions for the form of each kind.")
    objective = models.TextField(blank=True, help_text="Which decision do the answers serve?")
    target_answers = models.PositiveIntegerField(
        null=True, blank=True, help_text="So many answers are needed; empty: as many as the width below asks for."
    )
    target_half_width = models.FloatField(
        null=True, blank=True, help_text="Half width of the 95% interval that the share of an answer is to have."
    )
    deadline = models.DateTimeField(null=True, blank=True, help_text="From then on nobody is asked.")
    epsilon = models.FloatField(
        null=True,
        blank=True,
        help_text="Privacy of a private question: the widget randomises its answers with this budget. Empty: not private.",
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["question_id", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["question", "version"], name="question_version_unique"),
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        *("thumbs", "rating", "single_choice", "multiple_choice"),
                        *("correction", "text", "preference", "survey"),
                    ]
                ),
                name="question_version_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(target_answers__isnull=True) | Q(target_answers__gte=1), name="question_version_target"
            ),
            models.CheckConstraint(
                condition=Q(target_half_width__isnull=True) | Q(target_half_width__gt=0, target_half_width__lt=0.5),
                name="question_version_width_in_range",
            ),
            models.CheckConstraint(
                condition=Q(epsilon__isnull=True) | Q(epsilon__gt=0, epsilon__lte=8),
                name="question_version_epsilon_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.question} v{self.version}"


class Respondent(models.Model):
    """An end user of the app, known only by a keyed hash. Exists once something was asked of or said by them."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="respondents", db_index=False)
    respondent_hash = models.CharField(max_length=64, help_text="Keyed hash of the app's own id, hex.")
    opted_out_until = models.DateTimeField(null=True, blank=True, help_text="“Don't ask again”, until then.")
    is_blocked = models.BooleanField(
        default=False, db_default=False, help_text="Asked no more, for what they said is not to be trusted."
    )
    epsilon_spent = models.FloatField(default=0.0, help_text="Privacy budget that their private answers have used.")
    right_count = models.PositiveIntegerField(
        default=0, help_text="Their answers that agree with what is believed of the item."
    )
    wrong_count = models.PositiveIntegerField(default=0, help_text="Their answers that contradict it.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "respondent_hash"], name="respondent_unique"),
            models.CheckConstraint(condition=~Q(respondent_hash=""), name="respondent_has_a_hash"),
            models.CheckConstraint(condition=Q(epsilon_spent__gte=0), name="respondent_epsilon_not_negative"),
        ]

    def __str__(self) -> str:
        return f"respondent {self.respondent_hash[:8]}…"


class RespondentMove(models.Model):
    """A respondent who was known by an earlier key came back, and is known by the present one.

    What decides whether they may be asked moved at once; the rest of their rows follow, and then this row is deleted: it
    would tell whoever has the earlier key who they are.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    earlier_hash = models.CharField(max_length=64)
    current_hash = models.CharField(max_length=64)
    moved_at = models.DateTimeField(default=timezone.now)
    followed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the rows followed of all tables that have an index of respondents."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "earlier_hash"], name="respondent_moves_once"),
            models.CheckConstraint(
                condition=~Q(earlier_hash="") & ~Q(current_hash="") & ~Q(earlier_hash=models.F("current_hash")),
                name="respondent_moves_elsewhere",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.earlier_hash[:8]}… is {self.current_hash[:8]}…"
