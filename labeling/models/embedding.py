from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models.item import Item
from labeling.models.project import Project


class EmbeddingSpace(models.Model):
    """Where vectors of a project's items come from; only vectors of one space can be compared. The newest is in use."""

    class Origin(models.TextChoices):
        APP = "app", "Sent by the app"
        TEXT = "text", "TF-IDF and SVD of the text"
        NUMERIC = "numeric", "Standardised features"
        PRETRAINED = "pretrained", "A pretrained embedding package"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="embedding_spaces")
    origin = models.CharField(max_length=16, choices=Origin)
    width = models.PositiveSmallIntegerField(help_text="Numbers per vector.")
    artifact = models.CharField(
        max_length=300,
        blank=True,
        help_text="Extractor below the artifact directory; empty where the app sends vectors.",
    )
    fitted_items = models.PositiveIntegerField(default=0, help_text="Items the project had when it was fitted.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["project_id", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(origin="app"), name="embedding_space_one_of_the_app"
            ),
            models.CheckConstraint(condition=Q(width__gte=1, width__lte=4096), name="embedding_space_width_in_range"),
            models.CheckConstraint(
                condition=Q(origin__in=["app", "text", "numeric", "pretrained"]), name="embedding_space_origin_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_origin_display()}, {self.width} wide"


class Embedding(models.Model):
    """The vector of an item. Beside the pool entry, not in it: most refills do not read vectors."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True, related_name="embedding")
    # As in PoolEntry: copies, whose truth the item's own constraint and the one writer hold.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    space = models.ForeignKey(
        EmbeddingSpace, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    vector = models.BinaryField(help_text="float16, little endian, `space.width` of them.")

    class Meta:
        indexes = [models.Index(fields=["project", "space", "item"], name="embedding_by_space")]

    def __str__(self) -> str:
        return f"embedding of item {self.item_id}"
