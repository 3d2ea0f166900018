"""What the API description says of asks and ask policies; requests to ask are read by msgspec, see sampling.api.asks."""

from typing import Any

from rest_framework import serializers

from sampling.asking.policy import Reason
from sampling.models import AskPolicy
from sampling.services.ask_policies import AskPolicyChanges
from sampling.services.ask_replay import Interval, Replayed, SegmentCoverage


class AskedPredictionSerializer(serializers.Serializer[None]):
    model_version = serializers.CharField(max_length=100)
    probabilities = serializers.JSONField(
        required=False, help_text="Of the classes: a list in the model version's order, or an object by class."
    )
    answer = serializers.JSONField(required=False, help_text="Where the label schema has no classes to weigh.")
    confidence = serializers.FloatField(required=False, min_value=0, max_value=1)
    std = serializers.FloatField(required=False, min_value=0)
    context = serializers.DictField(  # type: ignore[assignment]  # a serializer has something of that name too
        required=False,
        help_text="request_id and whatever the app wants to find again; feedback can name the request_id.",
    )


class AskCandidateSerializer(serializers.Serializer[None]):
    key = serializers.CharField(max_length=200)
    payload = serializers.DictField(required=False, help_text="Of an item that is new.")
    segments = serializers.DictField(child=serializers.CharField(), required=False)
    prediction = AskedPredictionSerializer(required=False)


class AskOpportunitySerializer(serializers.Serializer[None]):
    opportunity_id = serializers.CharField(
        required=False,
        max_length=200,
        help_text="The app's name of this moment. The same again gives the same decision.",
    )
    key = serializers.CharField(required=False, max_length=200, help_text="Key of the item; or give candidates.")
    payload = serializers.DictField(required=False, help_text="Of an item that is new. One that exists keeps its own.")
    segments = serializers.DictField(child=serializers.CharField(), required=False)
    prediction = AskedPredictionSerializer(required=False)
    candidates = AskCandidateSerializer(
        many=True,
        required=False,
        help_text="A ranked list in the order shown, at most 50; one of them is asked about at most.",
    )
    respondent = serializers.CharField(
        required=False, max_length=500, help_text="The app's id of the user; only a hash is kept."
    )
    session = serializers.CharField(
        required=False, max_length=200, help_text="Stands for a respondent whom nobody named."
    )
    consent = serializers.BooleanField(required=False, allow_null=True)
    quiet = serializers.BooleanField(required=False, help_text="Not now, please.")
    locale = serializers.CharField(required=False, max_length=50)
    question = serializers.CharField(
        required=False, max_length=64, help_text="Key of the question; else one is chosen."
    )


class AskAnswerSerializer(serializers.Serializer[None]):
    """Whether to show the question now, and why or why not."""

    ask = serializers.BooleanField()
    reason = serializers.ChoiceField(choices=[each.value for each in Reason if each.told is each])
    opportunity_id = serializers.CharField()
    key = serializers.CharField(allow_null=True, help_text="The item that is asked about; null for a no about a list.")
    prediction_id = serializers.IntegerField(allow_null=True)
    ask_id = serializers.IntegerField(allow_null=True)
    token = serializers.CharField(allow_null=True, help_text="Lets its holder answer this ask until it expires.")
    expires_at = serializers.DateTimeField(allow_null=True)
    propensity = serializers.FloatField(
        allow_null=True, help_text="Chance of this ask; null where a gate refused, and for publishable keys."
    )
    is_blind = serializers.BooleanField(help_text="What the model says is hidden.")
    policy_version = serializers.IntegerField()
    question = serializers.DictField(allow_null=True, help_text="As the widget shows it.")
    retry_after_seconds = serializers.IntegerField(allow_null=True, help_text="When it is worth trying again.")


class AskPolicySerializer(serializers.ModelSerializer[AskPolicy]):
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True, help_text="Empty for apps."
    )

    class Meta:
        model = AskPolicy
        fields = ["version", *AskPolicyChanges.__annotations__, "created_at", "created_by"]
        read_only_fields = fields


def _help(name: str) -> str:
    return str(getattr(AskPolicy._meta.get_field(name), "help_text", ""))


class AskPolicyChangesSerializer(serializers.Serializer[None]):
    """What is left out stays as it is. Ranges are checked by the service."""

    is_asking = serializers.BooleanField(required=False, help_text=_help("is_asking"))
    needs_consent = serializers.BooleanField(required=False, help_text=_help("needs_consent"))
    budget_asks = serializers.IntegerField(required=False, allow_null=True, help_text=_help("budget_asks"))
    segment = serializers.CharField(required=False, allow_blank=True, max_length=200, help_text=_help("segment"))
    segment_quotas = serializers.DictField(
        child=serializers.IntegerField(), required=False, help_text=_help("segment_quotas")
    )
    segment_targets = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text=_help("segment_targets")
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """The numbers have fields by their type."""
        fields = super().get_fields()
        for name, kind in AskPolicyChanges.__annotations__.items():
            if name not in fields:
                field = serializers.IntegerField if kind is int else serializers.FloatField
                fields[name] = field(required=False, help_text=_help(name))
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A field that is misspelt must not leave the budget open without a word."""
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError(dict.fromkeys(unknown, "is no field of an ask policy"))
        return attrs


class IntervalSerializer(serializers.Serializer[Interval]):
    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class SegmentCoverageSerializer(serializers.Serializer[SegmentCoverage]):
    segment = serializers.CharField(allow_blank=True)
    opportunities = serializers.FloatField()
    asks = serializers.FloatField()
    logged_asks = serializers.FloatField()


class AskReplaySerializer(serializers.Serializer[Replayed]):
    """What another policy would have done on the logged opportunities."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    decisions = serializers.IntegerField(help_text="Rows of the log that were replayed.")
    is_truncated = serializers.BooleanField(help_text="There were more; these are the newest.")
    opportunities = serializers.FloatField(help_text="What they stand for.")
    logged_asks = serializers.FloatField()
    logged_answers = serializers.FloatField()
    asks = IntervalSerializer(help_text="Expected asks.")
    answers = IntervalSerializer(help_text="Expected answers, corrected by the logged propensities.")
    dismissals = IntervalSerializer()
    coverage = SegmentCoverageSerializer(many=True)
    reasons = serializers.DictField(
        child=serializers.FloatField(), help_text="Opportunities by reason; drawn ones under “drawn”."
    )
    price = serializers.FloatField(help_text="At which the budget would have held.")
    effective_asks = serializers.FloatField(help_text="So many of the logged asks the estimate of answers rests on.")
    unsupported_share = serializers.FloatField(
        help_text="Share of the expected asks where the policy in force never asked: there only the expected rates speak."
    )
