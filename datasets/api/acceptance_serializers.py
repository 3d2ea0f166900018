"""Forms of acceptance policies and of what became of them on the wire."""

from rest_framework import serializers

from datasets.models import AcceptancePolicy, BeliefRun
from datasets.services.acceptance_report import AcceptanceReport, LearnedChannel


class AcceptancePolicySerializer(serializers.ModelSerializer[AcceptancePolicy]):
    thresholds_by_class = serializers.DictField(child=serializers.FloatField(), read_only=True)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True, help_text="Empty for apps."
    )

    class Meta:
        model = AcceptancePolicy
        fields = [
            "version", "method", "threshold", "thresholds_by_class", "least_evidence", "least_annotations", "most_answers",
            "draws_first", "uses_corrections", "uses_thumbs", "uses_implicit", "uses_model", "review_accuracy", "created_at",
            "created_by",
        ]  # fmt: skip
        read_only_fields = fields


class AcceptancePolicyChangesSerializer(serializers.Serializer[None]):
    """What is left out stays as it is. Ranges are checked by the service."""

    based_on = serializers.IntegerField(
        required=False, help_text="The version you have seen: 409 `policy_outdated` if another one is in force by now."
    )
    method = serializers.ChoiceField(
        required=False,
        choices=AcceptancePolicy.Method.choices,
        help_text="The label model needs a label schema of the kind single_choice.",
    )
    threshold = serializers.FloatField(
        required=False, help_text="Above 0, at most 1: the posterior of the likeliest class must reach it."
    )
    thresholds_by_class = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="By class key, where it differs."
    )
    least_evidence = serializers.IntegerField(
        required=False, help_text="So many different sources must have said something."
    )
    least_annotations = serializers.IntegerField(
        required=False, help_text="So many of them must be annotators; 0: respondents alone may decide."
    )
    most_answers = serializers.IntegerField(
        required=False, help_text="After so many statements a reviewer must look, and nobody else is asked."
    )
    draws_first = serializers.BooleanField(
        required=False,
        help_text="Every drawn item gets its first answer before any is asked about again: fewest answers for the whole pool, but "
        "labels come later.",
    )
    uses_corrections = serializers.BooleanField(required=False)
    uses_thumbs = serializers.BooleanField(required=False)
    uses_implicit = serializers.BooleanField(required=False, help_text="Clicks, copies, retries, .. as weak evidence.")
    uses_model = serializers.BooleanField(
        required=False, help_text="The champion's probabilities as a weak prior, capped; makes its errors sticky."
    )
    review_accuracy = serializers.FloatField(
        required=False, help_text="Better than a guess, below 1: how often a reviewer's decision is taken to be right."
    )


class BeliefWarningSerializer(serializers.Serializer[None]):
    code = serializers.CharField()
    message = serializers.CharField()
    classes = serializers.ListField(child=serializers.CharField())


class BeliefRunSerializer(serializers.ModelSerializer[BeliefRun]):
    policy_version = serializers.IntegerField(source="policy.version", read_only=True)
    evidence_by_kind = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    warnings = BeliefWarningSerializer(many=True, read_only=True)

    class Meta:
        model = BeliefRun
        fields = [
            "id", "policy_version", "classes", "evidence_count", "evidence_by_kind", "evidence_hash", "item_count", "rounds",
            "has_converged", "warnings", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class LearnedChannelSerializer(serializers.Serializer[LearnedChannel]):
    kind = serializers.CharField(help_text="correction, thumb or implicit.")
    name = serializers.CharField(help_text="How it came, or which event it is.")
    epsilon = serializers.FloatField(allow_null=True, help_text="Privacy budget of randomised answers.")
    answers = serializers.FloatField(source="worth.answers", help_text="About how many it was learned from.")
    accuracy = serializers.FloatField(
        source="worth.accuracy", allow_null=True, help_text="Of corrections: how often they name the true class."
    )
    right_if_right = serializers.FloatField(
        source="worth.right_if_right", allow_null=True, help_text="How often a right prediction is called right."
    )
    right_if_wrong = serializers.FloatField(
        source="worth.right_if_wrong", allow_null=True, help_text="How often a wrong prediction is called right."
    )
    odds_if_right = serializers.FloatField(
        source="worth.odds_if_right",
        allow_null=True,
        help_text="What the odds that the prediction is right are multiplied by when it is called right.",
    )
    odds_if_wrong = serializers.FloatField(source="worth.odds_if_wrong", allow_null=True, help_text="Or wrong.")


class ActionCountsSerializer(serializers.Serializer[None]):
    accept = serializers.IntegerField()
    ask = serializers.IntegerField()
    review = serializers.IntegerField()


class AcceptanceReportSerializer(serializers.Serializer[AcceptanceReport]):
    policy = AcceptancePolicySerializer()
    last_fit = BeliefRunSerializer(source="run", allow_null=True)
    fit_due = serializers.CharField(
        source="due",
        allow_blank=True,
        help_text="Why a fit is due: first, policy, standing, gold, growth, time; or empty.",
    )
    items = ActionCountsSerializer(help_text="How many items by what is to be done about them.")
    channels = LearnedChannelSerializer(many=True, help_text="What respondents' answers turned out to be worth.")
