from django.urls import path

from datasets.api import acceptance, gold, label_errors, labels, reviews, signals, snapshots, sources

urlpatterns = [
    path(
        "projects/<slug:slug>/acceptance-policy",
        acceptance.AcceptancePolicyView.as_view(),
        name="acceptance-policy",
    ),
    path(
        "projects/<slug:slug>/acceptance-policy/versions",
        acceptance.AcceptancePolicyVersions.as_view(),
        name="acceptance-policy-versions",
    ),
    path("projects/<slug:slug>/signals", signals.Signals.as_view(), name="signals"),
    path("projects/<slug:slug>/sources", sources.SourceList.as_view(), name="sources"),
    path(
        "projects/<slug:slug>/sources/<int:source_id>/decisions",
        sources.SourceDecisions.as_view(),
        name="source-decisions",
    ),
    path("projects/<slug:slug>/gold", gold.GoldList.as_view(), name="gold"),
    path("projects/<slug:slug>/gold/<int:gold_id>", gold.GoldDetail.as_view(), name="gold-item"),
    path("projects/<slug:slug>/training/<int:annotation_id>", gold.Training.as_view(), name="training"),
    path("projects/<slug:slug>/labels", labels.LabelList.as_view(), name="labels"),
    path("projects/<slug:slug>/labels/export", labels.LabelExport.as_view(), name="labels-export"),
    path("projects/<slug:slug>/snapshots", snapshots.SnapshotList.as_view(), name="snapshots"),
    path("projects/<slug:slug>/snapshots/<int:number>", snapshots.SnapshotDetail.as_view(), name="snapshot"),
    path(
        "projects/<slug:slug>/snapshots/<int:number>/export",
        snapshots.SnapshotExport.as_view(),
        name="snapshot-export",
    ),
    path("projects/<slug:slug>/label-errors", label_errors.LabelErrors.as_view(), name="label-errors"),
    path("projects/<slug:slug>/reviews", reviews.ReviewList.as_view(), name="reviews"),
    path("projects/<slug:slug>/reviews/next", reviews.NextReview.as_view(), name="reviews-next"),
    path("projects/<slug:slug>/reviews/<int:review_id>", reviews.ReviewDetail.as_view(), name="review"),
    path("projects/<slug:slug>/reviews/<int:review_id>/claim", reviews.ReviewClaim.as_view(), name="review-claim"),
    path(
        "projects/<slug:slug>/reviews/<int:review_id>/decisions",
        reviews.ReviewDecisions.as_view(),
        name="review-decisions",
    ),
]
