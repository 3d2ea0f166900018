from django.contrib import admin
from django.http import HttpRequest

from training.models import LearningCurvePoint, Promotion, RetrainingPolicy, TrainingRun


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """For looking only: these rows are written by services, which keep them consistent."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    list_display = [
        "id",
        "project",
        "state",
        "trigger",
        "trainer",
        "snapshot",
        "model_version",
        "created_at",
        "message",
    ]
    list_filter = ["state", "trigger", "project"]
    list_select_related = ["project", "snapshot__project", "model_version"]


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    list_display = ["id", "project", "model_version", "previous", "outcome", "is_forced", "created_by", "created_at"]
    list_filter = ["outcome", "is_forced", "project"]
    list_select_related = ["project", "model_version", "previous", "created_by"]


@admin.register(RetrainingPolicy)
class RetrainingPolicyAdmin(ReadOnlyAdmin):
    list_display = ["project", "version", "trainer", "min_new_labels", "growth_fraction", "promotes_automatically"]
    list_filter = ["project"]
    list_select_related = ["project"]


@admin.register(LearningCurvePoint)
class LearningCurvePointAdmin(ReadOnlyAdmin):
    list_display = ["project", "arm", "source", "seed", "label_count", "accuracy", "evaluated_on", "created_at"]
    list_filter = ["arm", "source", "project"]
    list_select_related = ["project"]
