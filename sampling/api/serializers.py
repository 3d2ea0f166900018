"""Forms of queue policies and refill runs on the wire."""

from rest_framework import serializers

from labeling.models import AnnotationTask
from sampling.models import ArmComparison, QueuePolicy, RefillRun, Surrogate
from sampling.preview_figures import Share
from sampling.services.control_arm import ControlArm
from sampling.services.preview import Preview, PreviewItem
from sampling.services.replay import Replay
from sampling.services.surrogates import Status
from sampling.strategies.registry import STRATEGIES

_LARGEST_SEED = 2**63 - 1


class QueuePolicySerializer(serializers.ModelSerializer[QueuePolicy]):
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True, help_text="Empty for apps."
    )

    class Meta:
        model = QueuePolicy
        fields = [
            "version", "strategy", "score_source", "batch_rule", "beta", "shortlist_factor", "cold_start",
            "hand_over_labels_per_class", "segment", "segment_targets", "falls_back", "stop_below_gain", "epsilon", "batch_size", "low_watermark",
            "answers_per_item", "created_at", "created_by",
        ]  # fmt: skip
        read_only_fields = fields


class PolicyChangesSerializer(serializers.Serializer[None]):
    """What is left out stays as it is. Ranges are checked by the service."""

    strategy = serializers.CharField(
        required=False, max_length=32, help_text=f"One of: {', '.join(STRATEGIES)}; it must fit the task type."
    )
    score_source = serializers.ChoiceField(
        required=False,
        choices=QueuePolicy.ScoreSource.choices,
        help_text="Whose word counts: the champion's or a surrogate's.",
    )
    batch_rule = serializers.ChoiceField(required=False, choices=QueuePolicy.BatchRule.choices)
    shortlist_factor = serializers.IntegerField(
        required=False, help_text="Diverse rules choose among so many times the batch of the most informative items."
    )
    cold_start = serializers.ChoiceField(required=False, choices=QueuePolicy.ColdStart.choices)
    hand_over_labels_per_class = serializers.IntegerField(
        required=False,
        help_text="Cold start ends at so many labels a class on average; 0: as soon as there are scores.",
    )
    segment = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text="Segment whose values get shares; empty: none."
    )
    segment_targets = serializers.DictField(
        child=serializers.FloatField(),
        required=False,
        help_text="Share of the chosen items by value; all other items share the rest.",
    )
    falls_back = serializers.BooleanField(
        required=False, help_text="Draw at random while chosen labels are measured to teach less than random ones."
    )
    stop_below_gain = serializers.FloatField(
        required=False, help_text="Advise to stop when the next 100 labels are expected to raise accuracy by less."
    )
    beta = serializers.FloatField(required=False, help_text="Power on informativeness: 0 draws uniformly.")
    epsilon = serializers.FloatField(required=False, help_text="Share of draws that go to the audit slice.")
    batch_size = serializers.IntegerField(required=False, help_text="Open tasks after a refill.")
    low_watermark = serializers.IntegerField(required=False, help_text="A refill starts when fewer tasks are open.")
    answers_per_item = serializers.IntegerField(
        required=False, help_text="So many different people are asked about each item."
    )


class NewRefillSerializer(serializers.Serializer[None]):
    replaces_open_tasks = serializers.BooleanField(
        required=False, default=False, help_text="Withdraw first what waits for an annotator."
    )
    seed = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        min_value=0,
        max_value=_LARGEST_SEED,
        help_text="The same pool, policy and seed give the same batch.",
    )


class RefillRunSerializer(serializers.ModelSerializer[RefillRun]):
    policy_version = serializers.IntegerField(source="policy.version", read_only=True)
    model_version = serializers.CharField(source="model_version.name", read_only=True, default=None, allow_null=True)
    surrogate = serializers.IntegerField(source="surrogate.number", read_only=True, default=None, allow_null=True)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True, help_text="Empty for apps."
    )

    class Meta:
        model = RefillRun
        fields = [
            "id", "batch", "trigger", "state", "message", "phase", "phase_reason", "rule", "policy_version", "model_version", "surrogate", "seed",
            "replaces_open_tasks", "attempts", "pool_size", "wanted_count", "score_digest", "withdrawn_count", "selected_count", "audit_count",
            "read_ms", "score_ms", "write_ms", "created_at", "created_by", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class SurrogateSerializer(serializers.ModelSerializer[Surrogate]):
    class Meta:
        model = Surrogate
        fields = [
            "number", "state", "message", "fit", "classes", "members", "label_count", "accuracy", "audit_count", "temperature",
            "seconds", "trained_at",
        ]  # fmt: skip
        read_only_fields = fields


class SurrogateStatusSerializer(serializers.Serializer[Status]):
    """Whether a surrogate scores the pool, and how far behind the labels it is."""

    is_wanted = serializers.BooleanField(help_text="By the policy a surrogate is to score the pool now.")
    labels_behind = serializers.IntegerField(help_text="Labels that changed since it was trained.")
    current = SurrogateSerializer(allow_null=True, help_text="The one that scores; null while there is none.")
    last_failure = SurrogateSerializer(allow_null=True, help_text="The newest attempt, if it failed.")


class ReplaySerializer(serializers.Serializer[Replay]):
    is_same = serializers.BooleanField(help_text="Every task came at its rank again.")
    has_same_scores = serializers.BooleanField(help_text="The items scored what they scored then.")
    drawn_count = serializers.IntegerField()
    compared_count = serializers.IntegerField(help_text="Tasks of the run that are still there.")
    differing_ranks = serializers.ListField(child=serializers.IntegerField(), help_text="At most 10.")


class ShareSerializer(serializers.Serializer[Share]):
    name = serializers.CharField()
    in_batch = serializers.FloatField()
    elsewhere = serializers.FloatField()


class PreviewItemSerializer(serializers.Serializer[PreviewItem]):
    key = serializers.CharField()
    is_audit = serializers.BooleanField()
    reason = serializers.ChoiceField(choices=AnnotationTask.Reason.choices, help_text="Why it would be asked.")
    informativeness = serializers.FloatField(allow_null=True)
    chance = serializers.FloatField(allow_null=True, help_text="Its propensity; null where the rule is deterministic.")
    predicted = serializers.CharField(allow_blank=True)


class PreviewSerializer(serializers.Serializer[Preview]):
    """The batch that a policy would fill an empty queue with."""

    phase_reason = serializers.CharField()
    rule = serializers.CharField()
    scored_by = serializers.CharField()
    remark = serializers.CharField(allow_blank=True)
    pool_size = serializers.IntegerField()
    size = serializers.IntegerField()
    audit_count = serializers.IntegerField()
    unscored_count = serializers.IntegerField()
    mean_informativeness = serializers.FloatField(allow_null=True)
    pool_informativeness = serializers.FloatField(allow_null=True, help_text="Mean of the pool, to a fortieth.")
    relative_informativeness = serializers.FloatField(
        allow_null=True,
        help_text="The mean of the batch over that of the pool; says nothing of what its labels are worth.",
    )
    pool_histogram = serializers.ListField(child=serializers.IntegerField(), help_text="20 equal steps over [0, 1].")
    batch_histogram = serializers.ListField(child=serializers.IntegerField())
    chances = serializers.ListField(
        child=serializers.IntegerField(),
        help_text="Draws by propensity: below 1/10, up to 1, 10, 100 times a uniform draw's, and above.",
    )
    has_chances = serializers.BooleanField(help_text="Every active draw has a known propensity.")
    classes = ShareSerializer(many=True, help_text="Predicted in the batch, and among the labels so far.")
    segments = serializers.DictField(child=ShareSerializer(many=True), help_text="In the batch, and in the pool.")
    duplicate_count = serializers.IntegerField()
    duplicates = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Keys of nearly the same items."
    )
    items = PreviewItemSerializer(many=True, help_text="The first 10.")
    seconds = serializers.FloatField()


class ArmPointSerializer(serializers.Serializer[None]):
    arm = serializers.ChoiceField(choices=["active", "random"])
    labels = serializers.IntegerField()
    accuracy = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    evaluated_on = serializers.IntegerField()


class ArmComparisonSerializer(serializers.ModelSerializer[ArmComparison]):
    curve = ArmPointSerializer(many=True, read_only=True)

    class Meta:
        model = ArmComparison
        fields = [
            "label_count", "verdict", "reason", "trained_on", "evaluated_on", "difference", "difference_low",
            "difference_high", "curve", "gain", "gain_low", "gain_high", "gain_labels", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class ControlArmSerializer(serializers.Serializer[ControlArm]):
    """Chosen labels against random ones, and whether more are worth their while."""

    comparison = ArmComparisonSerializer(allow_null=True, help_text="The newest; null while there are too few labels.")
    advice = serializers.ChoiceField(choices=["continue", "stop", "too_early"])
    falls_back_because = serializers.CharField(allow_blank=True, help_text="Empty while refills choose.")
