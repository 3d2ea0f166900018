from django.urls import path

from datasets.pages import acceptance, annotator_quality, datasets, gold, quality, quarantine, review

urlpatterns = [
    path("projects/<slug:slug>/acceptance/", acceptance.acceptance, name="acceptance"),
    path("projects/<slug:slug>/datasets/", datasets.datasets, name="datasets"),
    path("projects/<slug:slug>/annotators/quality/", annotator_quality.annotator_quality, name="annotator_quality"),
    path("projects/<slug:slug>/gold/", gold.gold_items, name="gold_items"),
    path("projects/<slug:slug>/quarantine/", quarantine.quarantine, name="quarantine"),
    path("projects/<slug:slug>/quarantine/<int:standing_id>/", quarantine.source, name="source"),
    path("projects/<slug:slug>/review/", review.queue, name="review"),
    path("projects/<slug:slug>/review/next/", review.start, name="review_next"),
    path("projects/<slug:slug>/review/<int:case_id>/", review.case, name="review_case"),
    path("projects/<slug:slug>/review/<int:case_id>/suggestion/", review.suggestion, name="review_suggestion"),
    path("projects/<slug:slug>/review/<int:case_id>/claim/", review.claim, name="review_claim"),
    path("projects/<slug:slug>/items/<int:item_id>/review/", review.send, name="review_send"),
    path("projects/<slug:slug>/quality/", quality.overview, name="quality"),
]
