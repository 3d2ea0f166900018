from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from labeling.models.item import Item
from labeling.models.prediction import ModelVersion
from labeling.models.project import LabelSchema, Project


class AnnotationTask(models.Model):
    """A unit of annotator work. Open tasks are served in order of (priority, id); ids follow the draw order."""

    own_draft: "Draft | None" = None
    """What the annotator to whom it is being served has written so far."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ANSWERED = "answered", "Answered"
        WITHDRAWN = "withdrawn", "Withdrawn"
        UNUSABLE = "unusable", "Unusable"

    class Reason(models.TextChoices):
        UNCERTAIN = "uncertain", "The model is unsure about it"
        AUDIT = "audit", "Drawn at random to measure the model honestly"
        COLD_START = "cold_start", "Chosen without asking a model"
        RANDOM = "random", "Drawn at random, whatever a model says"
        MANUAL = "manual", "Put into the queue by a person"
        RELABEL = "relabel", "Asked again, to check its label"
        IMPORTED = "imported", "Came with its answers from another tool"
        GOLD = "gold", "Its answer is known"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="annotation_tasks", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="annotation_tasks")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    priority = models.FloatField(
        default=0.0,
        help_text="Higher is served first; equal priorities in order of id. See labeling.priority for what it is made of.",
    )
    is_pinned = models.BooleanField(default=False, help_text="Served before everything else.")
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="Served before what has no date, the earliest first."
    )
    boost = models.FloatField(default=0.0, help_text="Moves the task up (or down, below 0) among those without a date.")
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+",
        help_text="Served to this person only.",
    )  # fmt: skip
    required_skill = models.CharField(max_length=100, blank=True, help_text="Served only to members with this skill.")
    answers_wanted = models.PositiveSmallIntegerField(
        default=1, help_text="From so many different people; the task stays open until then."
    )
    answers_count = models.PositiveSmallIntegerField(default=0, help_text="Annotations that stand.")
    reason = models.CharField(max_length=16, choices=Reason)
    told_reason = models.CharField(
        max_length=16,
        blank=True,
        default="",
        db_default="",
        help_text="Of a test: the reason that its annotator is told.",
    )
    informativeness = models.FloatField(null=True, blank=True)
    propensity = models.FloatField(
        null=True,
        blank=True,
        help_text="Probability with which this item was drawn at its draw; empty if a person chose it.",
    )
    is_audit = models.BooleanField(default=False)
    is_training = models.BooleanField(
        default=False, db_default=False, help_text="The right answer is shown to the annotator afterwards."
    )
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
            models.CheckConstraint(
                condition=Q(state__in=["open", "answered", "withdrawn", "unusable"]), name="task_state_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    reason__in=["uncertain", "audit", "cold_start", "random", "manual", "relabel", "imported", "gold"]
                ),
                name="task_reason_known",
            ),
            models.CheckConstraint(condition=Q(answers_wanted__gte=1), name="task_wants_an_answer"),
        ]

    def __str__(self) -> str:
        return f"task {self.pk} ({self.state})"

    @property
    def shown_reason(self) -> str:
        """The reason for its annotator: who knew that it is a test would be careful just there."""
        return self.told_reason or self.reason


class Annotation(models.Model):
    """A statement of the truth by an annotator.

    Append-only: an answer that was undone or edited stays, marked withdrawn; an edit is a new row that supersedes it.
    """

    task = models.ForeignKey(AnnotationTask, on_delete=models.CASCADE, related_name="annotations")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="annotations", db_index=False)
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="annotations")
    label_schema = models.ForeignKey(LabelSchema, on_delete=models.PROTECT, related_name="+")
    answer = models.JSONField(help_text="In the form of the label schema's kind, e.g. {'choice': 'spam'}.")
    suggested_answer = models.JSONField(
        null=True, blank=True, help_text="What the annotator was shown as the model's answer, if anything."
    )
    comment = models.TextField(blank=True, help_text="To whoever reviews it.")
    is_flagged = models.BooleanField(default=False, help_text="The annotator wants a reviewer to look at it.")
    is_ground_truth = models.BooleanField(default=False, help_text="Marked as certainly right where it came from.")
    supersedes = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    import_key = models.CharField(
        max_length=100, blank=True, help_text="Names an imported annotation, so that importing it twice stores it once."
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
            # What reviewers look for: few among many.
            models.Index(
                fields=["task"],
                condition=Q(withdrawn_at__isnull=True) & (Q(is_flagged=True) | ~Q(comment="")),
                name="annotation_with_remark",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["task", "annotator"], condition=Q(withdrawn_at__isnull=True), name="annotation_once_per_task"
            ),
            models.UniqueConstraint(
                fields=["item", "import_key"], condition=~Q(import_key=""), name="annotation_imported_once"
            ),
        ]

    def __str__(self) -> str:
        return f"annotation {self.pk} of item {self.item_id}"


class Skip(models.Model):
    """An annotator passed a task by; its item is not served to the same person again, or not before `until`."""

    class Kind(models.TextChoices):
        LATER = "later", "Later, for me"
        SOMEONE_ELSE = "someone_else", "For somebody else"
        UNUSABLE = "unusable", "Unusable"

    task = models.ForeignKey(AnnotationTask, on_delete=models.CASCADE, related_name="skips")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.SOMEONE_ELSE)
    reason = models.CharField(max_length=300, blank=True)
    until = models.DateTimeField(null=True, blank=True, help_text="Of a skip for later: when the item may come back.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["task", "annotator"], name="skip_once_per_task"),
            models.CheckConstraint(condition=Q(kind__in=["later", "someone_else", "unusable"]), name="skip_kind_known"),
            models.CheckConstraint(
                condition=Q(kind="later", until__isnull=False) | (~Q(kind="later") & Q(until__isnull=True)),
                name="skip_for_later_has_an_end",
            ),
        ]

    def __str__(self) -> str:
        return f"skip of task {self.task_id}"


class Draft(models.Model):
    """An answer that its annotator has not given yet. It counts for nothing and ends with the task."""

    task = models.ForeignKey(AnnotationTask, on_delete=models.CASCADE, related_name="drafts")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    answer = models.JSONField(help_text="As far as it got; need not be a valid answer.")
    comment = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1, help_text="Counts the saves, so that an older one cannot win.")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["task", "annotator"], name="draft_once_per_task")]

    def __str__(self) -> str:
        return f"draft for task {self.task_id}"


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
