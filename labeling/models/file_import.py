from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models.project import Project


class ImportJob(models.Model):
    """A file that is being read into a project. It can be resumed: rows before `position` are done."""

    class Format(models.TextChoices):
        JSONL = "jsonl", "JSON lines"
        CSV = "csv", "CSV"
        PARQUET = "parquet", "Parquet"
        LABEL_STUDIO = "label_studio", "Label Studio JSON"
        HUGGING_FACE = "hugging_face", "Hugging Face folder (zip)"

    class State(models.TextChoices):
        PENDING = "pending", "Waiting for a worker"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="import_jobs")
    format = models.CharField(max_length=16, choices=Format)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    file_name = models.CharField(max_length=255, help_text="As the user called it.")
    stored_as = models.CharField(max_length=300, help_text="Where the default storage keeps it.")
    options = models.JSONField(default=dict, help_text="How columns become keys, payloads, predictions; on_conflict.")
    position = models.BigIntegerField(default=0, help_text="Rows of the file that are done.")
    done_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    created_count = models.BigIntegerField(default=0)
    updated_count = models.BigIntegerField(default=0)
    skipped_count = models.BigIntegerField(default=0)
    failed_count = models.BigIntegerField(default=0)
    annotation_count = models.BigIntegerField(default=0, help_text="Annotations and skips taken over.")
    attempts = models.PositiveSmallIntegerField(default=0)
    message = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state"], condition=Q(state__in=["pending", "running"]), name="import_job_unfinished")
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(format__in=["jsonl", "csv", "parquet", "label_studio", "hugging_face"]),
                name="import_job_format_known",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "running", "succeeded", "failed", "cancelled"]),
                name="import_job_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"import of {self.file_name} ({self.state})"


class ImportRowError(models.Model):
    """A row of a file that was not taken over, and why."""

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="errors", db_index=False)
    row = models.BigIntegerField(help_text="Place in the file, from 0.")
    key = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=100)
    message = models.CharField(max_length=300)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["job", "row", "code"], name="import_row_error_unique")]

    def __str__(self) -> str:
        return f"row {self.row}: {self.code}"
