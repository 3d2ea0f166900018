from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models.ask import Ask
from labeling.models.item import Item
from labeling.models.prediction import Prediction
from labeling.models.project import LabelSchema, Project
from labeling.models.question import QuestionVersion


class Said(models.Model):
    """What feedback and corrections have in common: who said it, of what, when. Append-only: what is said again
    supersedes the row, nothing overwrites it."""

    class Channel(models.TextChoices):
        TOKEN = "token", "By an ask's token"
        APP = "app", "By the app's server"
        BROWSER = "browser", "By a publishable key"
        IMPORTED = "imported", "From another system's file"

    # Begins the client_id of what answered an ask. Other feedback may name the ask too, and is no answer to its question.
    ANSWERS: ClassVar = "answer:"

    # Without a constraint of its own, which would be checked row by row in every batch: whoever writes a row has read the
    # project in the same request.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    client_id = models.CharField(
        max_length=200, db_collation="C", help_text="The client's own name of it, so that it counts once."
    )
    channel = models.CharField(max_length=16, choices=Channel)
    item = models.ForeignKey(Item, null=True, blank=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    prediction = models.ForeignKey(
        Prediction, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    ask = models.ForeignKey(Ask, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    question_version = models.ForeignKey(
        QuestionVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    request_id = models.CharField(
        max_length=200, blank=True, help_text="The app's name of the inference it is about, if that is how it came."
    )
    item_key = models.CharField(max_length=200, blank=True, help_text="Key of the item it is about, likewise.")
    model_version_name = models.CharField(
        max_length=100,
        blank=True,
        help_text="Of the model version whose prediction of that item it is about, likewise.",
    )
    is_waiting = models.BooleanField(
        default=False, help_text="What it is about has not come in yet; it is joined when that does."
    )
    respondent_hash = models.CharField(max_length=64, blank=True)
    comment = models.TextField(blank=True)
    context = models.JSONField(default=dict, help_text="position, candidates and whatever the app adds.")
    is_anchored = models.BooleanField(
        null=True, blank=True, help_text="Whether the respondent saw what the model said; empty: not known."
    )
    occurred_at = models.DateTimeField(help_text="By the client's clock, corrected by how far it was off.")
    stated_at = models.DateTimeField(null=True, blank=True, help_text="When, by the client's own clock, if it said so.")
    received_at = models.DateTimeField(default=timezone.now)
    supersedes = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def stands(self) -> bool:
        return self.superseded_at is None


class Feedback(Said):
    """An opinion or behaviour: a weak signal about the truth. What is a statement of the truth is a `Correction`."""

    class Kind(models.TextChoices):
        THUMB = "thumb", "Thumb"
        RATING = "rating", "Rating"
        CHOICE = "choice", "Choice"
        TEXT = "text", "Text"
        PREFERENCE = "preference", "Preference"
        SURVEY = "survey", "Survey"
        IMPRESSION = "impression", "Impression"
        CLICK = "click", "Click"
        DWELL = "dwell", "Dwell"
        COPY = "copy", "Copy"
        RETRY = "retry", "Retry"
        EDIT = "edit", "Edit distance"
        ABANDONMENT = "abandonment", "Abandonment"
        CONVERSION = "conversion", "Conversion"

    kind = models.CharField(max_length=16, choices=Kind)
    value = models.JSONField(null=True, blank=True, help_text="In the form of its kind, see labeling.feedback_rows.")
    score = models.FloatField(
        null=True,
        blank=True,
        help_text="The value as one number, derived here: thumb up 1, down 0; rating 0 to 1; seconds.",
    )
    epsilon = models.FloatField(
        null=True,
        blank=True,
        help_text="Set where the answer was randomised: by k-ary randomised response with this budget.",
    )

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "feedback"
        indexes = [
            models.Index(fields=["project", "-received_at"], name="feedback_by_time"),
            models.Index(fields=["item"], condition=Q(item__isnull=False), name="feedback_by_item"),
            models.Index(fields=["ask"], condition=Q(ask__isnull=False), name="feedback_by_ask"),
            models.Index(fields=["project", "id"], condition=Q(is_waiting=True), name="feedback_waiting"),
            models.Index(fields=["supersedes"], condition=Q(supersedes__isnull=False), name="feedback_superseding"),
            models.Index(
                fields=["project", "respondent_hash"], condition=~Q(respondent_hash=""), name="feedback_by_respondent"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "client_id"], name="feedback_once"),
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        *("thumb", "rating", "choice", "text", "preference", "survey"),
                        *("impression", "click", "dwell", "copy", "retry", "edit", "abandonment", "conversion"),
                    ]
                ),
                name="feedback_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["token", "app", "browser", "imported"]), name="feedback_channel_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of item {self.item_id}"


class Correction(Said):
    """A statement of the truth by a respondent: evidence about the item's label."""

    label_schema = models.ForeignKey(LabelSchema, on_delete=models.PROTECT, related_name="+")
    answer = models.JSONField(help_text="In the form of the label schema's kind, e.g. {'choice': 'spam'}.")

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["project", "-received_at"], name="correction_by_time"),
            models.Index(fields=["item"], condition=Q(item__isnull=False), name="correction_by_item"),
            models.Index(fields=["ask"], condition=Q(ask__isnull=False), name="correction_by_ask"),
            models.Index(fields=["project", "id"], condition=Q(is_waiting=True), name="correction_waiting"),
            models.Index(fields=["supersedes"], condition=Q(supersedes__isnull=False), name="correction_superseding"),
            models.Index(
                fields=["project", "respondent_hash"], condition=~Q(respondent_hash=""), name="correction_by_respondent"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "client_id"], name="correction_once"),
            models.CheckConstraint(
                condition=Q(channel__in=["token", "app", "browser", "imported"]), name="correction_channel_known"
            ),
        ]

    def __str__(self) -> str:
        return f"correction of item {self.item_id}"
