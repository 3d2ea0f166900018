from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models.project import Project


class IdempotentRequest(models.Model):
    """The answer once given to a request that carried an Idempotency-Key, so that a retry gets it again."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=64)
    key = models.CharField(max_length=200)
    body_hash = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the request body; empty while in flight."
    )
    status = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Empty while the first request is in flight."
    )
    response = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["created_at"], name="idempotent_by_age")]
        constraints = [
            models.UniqueConstraint(fields=["project", "endpoint", "key"], name="idempotent_key_unique"),
            models.CheckConstraint(condition=~Q(key=""), name="idempotent_key_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.key}"
