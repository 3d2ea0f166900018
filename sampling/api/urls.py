from django.urls import path

from sampling.api import ask_funnel, ask_policies, asks, control_arm, queue_policies, refills, retention, surrogates

urlpatterns = [
    path("projects/<slug:slug>/asks/funnel", ask_funnel.AskFunnel.as_view(), name="ask-funnel"),
    path("projects/<slug:slug>/asks", asks.AskList.as_view(), name="asks"),
    path("projects/<slug:slug>/ask-policies", ask_policies.AskPolicyList.as_view(), name="ask-policies"),
    path(
        "projects/<slug:slug>/ask-policies/preview", ask_policies.AskPolicyPreview.as_view(), name="ask-policy-preview"
    ),
    path("projects/<slug:slug>/retention-policies", retention.RetentionPolicyList.as_view(), name="retention-policies"),
    path(
        "projects/<slug:slug>/retention-policies/preview",
        retention.RetentionPreview.as_view(),
        name="retention-policy-preview",
    ),
    path("projects/<slug:slug>/retention-runs", retention.RetentionRunList.as_view(), name="retention-runs"),
    path("projects/<slug:slug>/refills", refills.RefillList.as_view(), name="refills"),
    path("projects/<slug:slug>/refills/<int:run_id>", refills.RefillDetail.as_view(), name="refill"),
    path("projects/<slug:slug>/refills/<int:run_id>/replay", refills.RefillReplay.as_view(), name="refill-replay"),
    path("projects/<slug:slug>/control-arm", control_arm.ControlArmDetail.as_view(), name="control-arm"),
    path("projects/<slug:slug>/surrogate", surrogates.SurrogateDetail.as_view(), name="surrogate"),
    path(
        "projects/<slug:slug>/queue-policies/preview",
        queue_policies.QueuePolicyPreview.as_view(),
        name="queue-policy-preview",
    ),
    path("projects/<slug:slug>/queue-policies", queue_policies.QueuePolicyList.as_view(), name="queue-policies"),
]
