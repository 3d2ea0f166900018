from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from labeling.models.project import Project


class MediaFile(models.Model):
    """An uploaded image. Named by its content, so that uploading it twice stores it once."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="media_files", db_index=False)
    sha256 = models.CharField(max_length=64)
    file_name = models.CharField(max_length=255, help_text="As the user called it.")
    stored_as = models.CharField(max_length=300, help_text="Where the default storage keeps it.")
    content_type = models.CharField(max_length=100)
    size = models.BigIntegerField(help_text="Bytes.")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "sha256"], name="media_file_once_per_project"),
            models.CheckConstraint(condition=Q(size__gt=0), name="media_file_not_empty"),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def url(self) -> str:
        return reverse("api:media-content", args=[self.project.slug, self.sha256])
