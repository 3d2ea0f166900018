from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from sampling.models import ArmComparison, AskDecision, AskPolicy, QueuePolicy, RefillRun, RefillShard, Surrogate


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Policies are versioned by the queue page, and runs are history: here both are looked at."""

    list_select_related = ["project"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(QueuePolicy)
class QueuePolicyAdmin(ReadOnlyAdmin):
    list_display = ["project", "version", "strategy", "batch_rule", "beta", "epsilon", "batch_size", "low_watermark"]
    list_filter = ["project", "strategy"]


@admin.register(RefillRun)
class RefillRunAdmin(ReadOnlyAdmin):
    list_display = ["id", "project", "trigger", "state", "pool_size", "selected_count", "audit_count", "finished_at"]
    list_filter = ["project", "state", "trigger"]


@admin.register(RefillShard)
class RefillShardAdmin(ReadOnlyAdmin):
    list_select_related = ["run__project"]
    list_display = ["run", "number", "first_item", "end_item", "read_ms", "score_ms", "finished_at"]


@admin.register(Surrogate)
class SurrogateAdmin(ReadOnlyAdmin):
    list_display = ["project", "number", "state", "fit", "label_count", "accuracy", "audit_count", "trained_at"]
    list_filter = ["project", "state"]


@admin.register(ArmComparison)
class ArmComparisonAdmin(ReadOnlyAdmin):
    list_display = [
        "project",
        "label_count",
        "verdict",
        "trained_on",
        "evaluated_on",
        "difference",
        "gain",
        "created_at",
    ]
    list_filter = ["project", "verdict"]


@admin.register(AskPolicy)
class AskPolicyAdmin(ReadOnlyAdmin):
    list_display = ["project", "version", "is_asking", "budget_asks", "threshold", "audit_share", "created_at"]
    list_filter = ["project"]


@admin.register(AskDecision)
class AskDecisionAdmin(ReadOnlyAdmin):
    list_display = ["opportunity_id", "project", "is_ask", "reason", "propensity", "utility", "created_at"]
    list_filter = ["project", "reason"]
    list_select_related = ["project", "policy__project"]
    raw_id_fields = ["item", "prediction", "ask"]
    show_full_result_count = False
