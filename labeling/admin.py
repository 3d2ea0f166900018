"""The Django admin: looking around, and mending what no page mends. Facts that came in over the API are not edited."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from labeling.models import (
    Annotation,
    AnnotationTask,
    AnnotatorDay,
    ApiKey,
    Ask,
    Correction,
    Draft,
    Embedding,
    EmbeddingSpace,
    Feedback,
    IdempotentRequest,
    ImportJob,
    ImportRowError,
    Item,
    LabelSchema,
    MediaFile,
    Membership,
    ModelVersion,
    PoolEntry,
    Prediction,
    Project,
    Question,
    QuestionVersion,
    Respondent,
    RespondentMove,
    RetentionPolicy,
    RetentionRun,
    Skip,
)
from labeling.models.retention import DAYS


class FactAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """May be looked at. The tables are large: nothing is counted in full and no drop-down lists a table."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ["name", "slug", "created_at", "queue_paused_at"]
    search_fields = ["name", "slug"]
    raw_id_fields = ["created_by"]
    readonly_fields = ["slug", "image_origins"]  # origins are checked by the service, as they go into a header

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a project begins with a label schema and an owner: see labeling.services.projects


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ["user", "project", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "project"]
    search_fields = ["user__username", "project__slug"]
    autocomplete_fields = ["user", "project"]


@admin.register(LabelSchema)
class LabelSchemaAdmin(FactAdmin):
    list_display = ["project", "version", "kind", "created_at"]
    list_select_related = ["project"]
    search_fields = ["project__slug"]


@admin.register(ApiKey)
class ApiKeyAdmin(FactAdmin):
    list_display = ["name", "project", "kind", "prefix", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["kind"]
    list_select_related = ["project"]
    search_fields = ["name", "prefix", "project__slug"]
    exclude = ["key_hash"]


@admin.register(ModelVersion)
class ModelVersionAdmin(FactAdmin):
    list_display = ["name", "project", "stage", "origin", "created_at"]
    list_filter = ["stage", "origin"]
    list_select_related = ["project"]
    search_fields = ["name", "project__slug"]


@admin.register(Item)
class ItemAdmin(FactAdmin):
    list_display = ["key", "project", "bucket", "created_at"]
    list_select_related = ["project"]
    search_fields = ["=key"]
    search_help_text = "The whole key."
    ordering = ["-id"]


@admin.register(PoolEntry)
class PoolEntryAdmin(FactAdmin):
    list_display = ["item_id", "project", "state", "bucket", "scored_at"]
    list_select_related = ["project"]
    search_fields = ["=item__key"]
    ordering = ["-item_id"]


@admin.register(Prediction)
class PredictionAdmin(FactAdmin):
    list_display = ["item_id", "model_version", "predicted_class", "confidence", "created_at"]
    list_select_related = ["model_version"]
    search_fields = ["=item__key"]
    ordering = ["-id"]


@admin.register(AnnotationTask)
class AnnotationTaskAdmin(FactAdmin):
    list_display = ["id", "project", "item_id", "state", "reason", "propensity", "leased_to", "lease_expires_at"]
    list_filter = ["state", "reason", "is_audit"]
    list_select_related = ["project", "leased_to"]
    search_fields = ["=item__key"]
    ordering = ["-id"]


@admin.register(Annotation)
class AnnotationAdmin(FactAdmin):
    list_display = ["id", "item_id", "annotator", "answer", "created_at", "withdrawn_at"]
    list_select_related = ["annotator"]
    search_fields = ["=item__key", "annotator__username"]
    ordering = ["-id"]


@admin.register(Skip)
class SkipAdmin(FactAdmin):
    list_display = ["id", "task_id", "annotator", "kind", "reason", "until", "created_at"]
    list_filter = ["kind"]
    list_select_related = ["annotator"]
    search_fields = ["annotator__username"]
    ordering = ["-id"]


@admin.register(Draft)
class DraftAdmin(FactAdmin):
    list_display = ["id", "task_id", "annotator", "version", "updated_at"]
    list_select_related = ["annotator"]
    search_fields = ["annotator__username"]
    ordering = ["-id"]


@admin.register(AnnotatorDay)
class AnnotatorDayAdmin(FactAdmin):
    list_display = ["project", "annotator", "day", "answered"]
    list_select_related = ["project", "annotator"]
    search_fields = ["annotator__username"]
    ordering = ["-day", "id"]


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(FactAdmin):
    list_display = ["project", "endpoint", "key", "status", "created_at"]
    list_select_related = ["project"]
    search_fields = ["=key"]
    ordering = ["-id"]


@admin.register(ImportJob)
class ImportJobAdmin(FactAdmin):
    list_display = ["file_name", "project", "format", "state", "position", "failed_count", "created_at"]
    list_filter = ["state", "format"]
    list_select_related = ["project"]
    search_fields = ["file_name", "project__slug"]
    ordering = ["-id"]


@admin.register(ImportRowError)
class ImportRowErrorAdmin(FactAdmin):
    list_display = ["job_id", "row", "key", "code", "message"]
    search_fields = ["=key", "=code"]
    ordering = ["-id"]


@admin.register(MediaFile)
class MediaFileAdmin(FactAdmin):
    list_display = ["file_name", "project", "content_type", "size", "created_at"]
    list_select_related = ["project"]
    search_fields = ["file_name", "=sha256", "project__slug"]
    ordering = ["-id"]


@admin.register(EmbeddingSpace)
class EmbeddingSpaceAdmin(FactAdmin):
    list_display = ["id", "project", "origin", "width", "fitted_items", "created_at"]
    list_filter = ["origin"]
    list_select_related = ["project"]
    search_fields = ["project__slug"]
    ordering = ["-id"]


@admin.register(Embedding)
class EmbeddingAdmin(FactAdmin):
    list_display = ["item_id", "project", "space_id"]
    list_select_related = ["project"]
    search_fields = ["=item__key"]
    ordering = ["-item_id"]


@admin.register(Question)
class QuestionAdmin(FactAdmin):
    list_display = ["key", "project", "state", "ended_reason", "created_at"]
    list_filter = ["state"]
    list_select_related = ["project"]
    search_fields = ["key", "project__slug"]


@admin.register(QuestionVersion)
class QuestionVersionAdmin(FactAdmin):
    list_display = ["question", "version", "kind", "target_answers", "deadline", "epsilon", "created_at"]
    list_filter = ["kind"]
    list_select_related = ["question"]
    search_fields = ["question__key"]
    ordering = ["-id"]


@admin.register(Respondent)
class RespondentAdmin(FactAdmin):
    list_display = ["id", "project", "opted_out_until", "epsilon_spent", "right_count", "wrong_count", "created_at"]
    list_select_related = ["project"]
    search_fields = ["=respondent_hash"]
    ordering = ["-id"]


@admin.register(RespondentMove)
class RespondentMoveAdmin(FactAdmin):
    list_display = ["id", "project", "moved_at", "followed_at"]
    list_select_related = ["project"]
    ordering = ["-id"]


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(FactAdmin):
    list_display = ["project", "version", *DAYS, "created_at"]
    list_select_related = ["project"]
    ordering = ["-id"]


@admin.register(RetentionRun)
class RetentionRunAdmin(FactAdmin):
    list_display = ["id", "project", "policy", "counts", "started_at", "ended_at"]
    list_select_related = ["project", "policy__project"]
    ordering = ["-id"]


@admin.register(Ask)
class AskAdmin(FactAdmin):
    list_display = ["id", "project", "opportunity_id", "state", "is_blind", "is_audit", "propensity", "created_at"]
    list_filter = ["state", "is_blind", "is_audit"]
    list_select_related = ["project"]
    search_fields = ["=opportunity_id", "=item__key"]
    ordering = ["-id"]


@admin.register(Feedback)
class FeedbackAdmin(FactAdmin):
    list_display = [
        "id",
        "project",
        "kind",
        "score",
        "channel",
        "item_id",
        "is_waiting",
        "received_at",
        "superseded_at",
    ]
    list_filter = ["kind", "channel", "is_waiting"]
    list_select_related = ["project"]
    search_fields = ["=client_id", "=request_id"]
    ordering = ["-id"]


@admin.register(Correction)
class CorrectionAdmin(FactAdmin):
    list_display = ["id", "project", "answer", "channel", "item_id", "is_anchored", "received_at", "superseded_at"]
    list_filter = ["channel", "is_anchored", "is_waiting"]
    list_select_related = ["project"]
    search_fields = ["=client_id", "=request_id"]
    ordering = ["-id"]
