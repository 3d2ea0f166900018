from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from labeling.models.item import Item
from labeling.models.prediction import ModelVersion
from labeling.models.project import LabelSchema, Project


class AnnotationTask(models.Model):
    """A unit of annotator work. Open tasks are served in order of (priority, id); ids follow the draw order."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ANSWERED = "answered", "Answered"
        WITHDRAWN = "withdrawn", "Withdrawn"

    class Reason(models.TextChoices):
        UNCERTAIN = "uncertain", "The model is unsure about it"
        AUDIT = "audit", "Drawn at random to measure the model honestly"
        COLD_START = "cold_start", "Drawn at random because there is no model yet"
        MANUAL = "manual", "Put into the queue by a person"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="annotation_tasks", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="annotation_tasks")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    priority = models.FloatField(default=0.0, help_text="Higher is served first; equal priorities in order of id.")
    reason = models.CharField(max_length=16, choices=Reason)
    informativeness = models.FloatField(null=True, blank=True)
    propensity = models.FloatField(
        null=True,
        blank=True,
        help_text="Probability with which this item was drawn at its draw; empty if a person chose it.",
    )
    is_audit = models.BooleanField(default=False)
    batch = models.UUIDField(null=True, blank=True, help_text="The refill run that drew it.")
    draw_rank = models.PositiveIntegerField(
        null=True, blank=True, help_text="Place in the draw order of its batch, from 0."
    )
    pool_size = models.PositiveIntegerField(
        null=True, blank=True, help_text="Items that could have been drawn when its batch began."
    )
    model_version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    leased_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            # The claim walks this index from the top and stops at the first free task.
            models.Index("project", F("priority").desc(), "id", condition=Q(state="open"), name="task_open_queue"),
            models.Index(fields=["project", "state", "-closed_at"], name="task_by_state"),
            models.Index(fields=["batch"], condition=Q(batch__isnull=False), name="task_by_batch"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["item"], condition=Q(state="open"), name="task_one_open_per_item"),
            models.CheckConstraint(
                condition=Q(leased_to__isnull=True) | Q(lease_expires_at__isnull=False),
                name="task_lease_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(propensity__isnull=True) | Q(propensity__gt=0, propensity__lte=1),
                name="task_propensity_in_range",
            ),
            models.CheckConstraint(
                condition=Q(state="open", closed_at__isnull=True) | (~Q(state="open") & Q(closed_at__isnull=False)),
                name="task_closed_has_a_time",
            ),
            models.CheckConstraint(condition=Q(state__in=["open", "answered", "withdrawn"]), name="task_state_known"),
            models.CheckConstraint(
                condition=Q(reason__in=["uncertain", "audit", "cold_start", "manual"]), name="task_reason_known"
            ),
        ]

    def __str__(self) -> str:
        return f"task {self.pk} ({self.state})"


class Annotation(models.Model):
    """A statement of the truth by an annotator. Append-only: an undone answer stays, marked withdrawn."""

    task = models.ForeignKey(AnnotationTask, on_delete=models.CASCADE, related_name="annotations")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="annotations", db_index=False)
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="annotations")
    label_schema = models.ForeignKey(LabelSchema, on_delete=models.PROTECT, related_name="+")
    answer = models.JSONField(help_text="In the form of the label schema's kind, e.g. {'choice': 'spam'}.")
    suggested_class = models.CharField(
        max_length=100, blank=True, help_text="What the annotator was shown as the model's answer, if anything."
    )
    duration_ms = models.PositiveIntegerField(null=True, blank=True, help_text="From showing the task to answering it.")
    created_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            # Finds the last answer for an undo.
            models.Index(fields=["annotator", "-created_at", "-id"], name="annotation_by_annotator"),
            # The claim asks of every task whether the annotator knows its item.
            models.Index(fields=["item", "annotator"], name="annotation_by_item"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["task", "annotator"], condition=Q(withdrawn_at__isnull=True), name="annotation_once_per_task"
            )
        ]

    def __str__(self) -> str:
        return f"annotation {self.pk} of item {self.item_id}"


class Skip(models.Model):
    """An annotator passed a task by; it is not served to the same person again."""

    task = models.ForeignKey(AnnotationTask, on_delete=models.CASCADE, related_name="skips")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["task", "annotator"], name="skip_once_per_task")]

    def __str__(self) -> str:
        return f"skip of task {self.task_id}"


class AnnotatorDay(models.Model):
    """How many answers an annotator gave on a day, not counting those taken back.

    Kept by the statements that record and undo answers: to count them at every request would cost more, the more an
    annotator has done.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    answered = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["day", "id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "annotator", "day"], name="annotator_day_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.answered} answers on {self.day}"
