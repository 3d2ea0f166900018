from django.urls import path

from training.api import accuracy, policies, promotions, runs

urlpatterns = [
    path("projects/<slug:slug>/accuracy", accuracy.AccuracyDetail.as_view(), name="accuracy"),
    path("projects/<slug:slug>/training-runs", runs.TrainingRunList.as_view(), name="training-runs"),
    path("projects/<slug:slug>/training-runs/<int:run_id>", runs.TrainingRunDetail.as_view(), name="training-run"),
    path(
        "projects/<slug:slug>/model-versions/<path:name>/promote",
        promotions.ModelVersionPromotion.as_view(),
        name="model-version-promote",
    ),
    path("projects/<slug:slug>/promotions", promotions.PromotionList.as_view(), name="promotions"),
    path("projects/<slug:slug>/retraining-policies", policies.PolicyList.as_view(), name="retraining-policies"),
]
