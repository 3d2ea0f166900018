from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from datasets.models import AcceptedLabel, PendingEvidence, Snapshot


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Beliefs follow from the evidence and snapshots are frozen: here both are looked at."""

    show_full_result_count = False
    list_select_related = ["project"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AcceptedLabel)
class AcceptedLabelAdmin(ReadOnlyAdmin):
    list_display = [
        "id",
        "project",
        "item",
        "label",
        "probability",
        "reason",
        "is_audit",
        "accepted_at",
        "superseded_at",
    ]
    list_filter = ["project", "method", "is_audit"]
    list_select_related = ["project", "item"]
    search_fields = ["item__key__exact"]


@admin.register(PendingEvidence)
class PendingEvidenceAdmin(ReadOnlyAdmin):
    list_display = ["id", "project", "annotation"]
    list_select_related = ["project", "annotation"]


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = [
        "project",
        "number",
        "state",
        "row_count",
        "audit_count",
        "content_hash",
        "created_at",
        "created_by",
    ]
    list_filter = ["project"]
    list_select_related = ["project", "created_by"]
