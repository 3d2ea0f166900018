from django.urls import path

from datasets.pages import acceptance, annotator_quality, datasets, gold, quarantine

urlpatterns = [
    path("projects/<slug:slug>/acceptance/", acceptance.acceptance, name="acceptance"),
    path("projects/<slug:slug>/datasets/", datasets.datasets, name="datasets"),
    path("projects/<slug:slug>/annotators/quality/", annotator_quality.annotator_quality, name="annotator_quality"),
    path("projects/<slug:slug>/gold/", gold.gold_items, name="gold_items"),
    path("projects/<slug:slug>/quarantine/", quarantine.quarantine, name="quarantine"),
    path("projects/<slug:slug>/quarantine/<int:standing_id>/", quarantine.source, name="source"),
]
