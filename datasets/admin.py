from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from datasets.models import (
    AcceptancePolicy,
    AcceptedLabel,
    BeliefRun,
    GoldItem,
    ItemBelief,
    LabelCheck,
    PendingEvidence,
    PendingItem,
    ReviewCase,
    ReviewDecision,
    Snapshot,
    SourceDecision,
    SourceExamination,
    SourceStanding,
    SuspectLabel,
)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Beliefs follow from the evidence, snapshots are frozen, and what people decide has pages with a trail: here all is looked at."""

    show_full_result_count = False
    list_per_page = 50
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


@admin.register(AcceptancePolicy)
class AcceptancePolicyAdmin(ReadOnlyAdmin):
    list_display = ["project", "version", "method", "threshold", "least_evidence", "most_answers", "created_at"]
    list_filter = ["project", "method"]


@admin.register(BeliefRun)
class BeliefRunAdmin(ReadOnlyAdmin):
    list_display = ["id", "project", "policy", "evidence_count", "item_count", "rounds", "has_converged", "finished_at"]
    list_filter = ["project", "has_converged"]
    list_select_related = ["project", "policy__project"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[BeliefRun]:
        return super().get_queryset(request).defer("parameters")  # megabytes each


@admin.register(ItemBelief)
class ItemBeliefAdmin(ReadOnlyAdmin):
    list_display = ["item_id", "project", "label", "probability", "evidence_count", "action", "reason", "updated_at"]
    list_filter = ["action"]
    search_fields = ["=item__key"]
    ordering = ["-item_id"]


@admin.register(PendingItem)
class PendingItemAdmin(ReadOnlyAdmin):
    list_display = ["id", "project", "item_id"]


@admin.register(GoldItem)
class GoldItemAdmin(ReadOnlyAdmin):
    list_display = ["item", "project", "answer", "is_active", "created_by", "created_at"]
    list_filter = ["project", "is_active"]
    list_select_related = ["project", "item", "created_by"]
    search_fields = ["=item__key"]


@admin.register(ReviewCase)
class ReviewCaseAdmin(ReadOnlyAdmin):
    list_display = ["id", "project", "item", "kind", "state", "value", "claimed_by", "opened_at", "closed_at"]
    list_filter = ["project", "state", "kind"]
    list_select_related = ["project", "item", "claimed_by"]
    search_fields = ["=item__key"]
    ordering = ["-id"]


@admin.register(ReviewDecision)
class ReviewDecisionAdmin(ReadOnlyAdmin):
    list_display = ["id", "case", "item", "reviewer", "action", "answer", "saw_suggestion", "decided_at"]
    list_filter = ["action", "saw_suggestion"]
    list_select_related = ["case", "item", "reviewer"]
    search_fields = ["=item__key", "reviewer__username"]
    ordering = ["-id"]


@admin.register(SourceStanding)
class SourceStandingAdmin(ReadOnlyAdmin):
    list_display = [
        "id",
        "project",
        "annotator",
        "respondent_hash",
        "step",
        "weight",
        "suspicion_nats",
        "decided_by",
        "changed_at",
    ]
    list_filter = ["project", "step"]
    list_select_related = ["project", "annotator", "decided_by"]
    search_fields = ["annotator__username", "=respondent_hash"]
    ordering = ["-suspicion_nats"]


@admin.register(SourceDecision)
class SourceDecisionAdmin(ReadOnlyAdmin):
    list_display = ["id", "standing", "step_before", "step_after", "weight_after", "decided_by", "decided_at"]
    list_filter = ["step_after"]
    list_select_related = ["standing__annotator", "decided_by"]
    search_fields = ["standing__annotator__username", "=standing__respondent_hash"]


@admin.register(SourceExamination)
class SourceExaminationAdmin(ReadOnlyAdmin):
    list_display = ["id", "project", "said_count", "source_count", "judged_count", "changed_count", "finished_at"]
    list_filter = ["project"]


@admin.register(LabelCheck)
class LabelCheckAdmin(ReadOnlyAdmin):
    list_display = ["id", "project", "trainer", "label_count", "agreement", "message", "finished_at"]
    list_filter = ["project"]


@admin.register(SuspectLabel)
class SuspectLabelAdmin(ReadOnlyAdmin):
    list_display = ["item", "project", "source", "score", "self_confidence", "suggested", "found_at"]
    list_filter = ["source"]
    list_select_related = ["project", "item"]
    search_fields = ["=item__key"]
