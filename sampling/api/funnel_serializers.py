"""What became of opportunities to ask, on the wire."""

import math
from typing import Any

from rest_framework import serializers

from datasets.estimation.wilson import Estimate
from sampling.ask_funnel import PROPENSITY_STEPS, STAGES


class PeriodSerializer(serializers.Serializer[None]):
    since = serializers.DateTimeField(required=False, help_text="Decisions from then on; by default the last 30 days.")
    until = serializers.DateTimeField(required=False, help_text="Decisions before then; by default now.")
    question = serializers.CharField(
        required=False, default="", max_length=64, help_text="Key of a question: only decisions about asking it."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        since, until = attrs.get("since"), attrs.get("until")
        if since and until and since >= until:
            raise serializers.ValidationError({"until": "must be later than since"})
        return attrs


class _RateSerializer(serializers.Serializer[Estimate]):
    value = serializers.FloatField(allow_null=True, help_text="Null where there was nothing to observe.")
    low = serializers.FloatField(help_text="Of the 95% interval, Wilson's.")
    high = serializers.FloatField()
    n = serializers.IntegerField(help_text="Observations.")


class _StageSerializer(serializers.Serializer[Any]):
    stage = serializers.CharField(source="name", help_text=f"One of: {', '.join(STAGES)}.")
    count = serializers.FloatField(help_text="Not whole where the log keeps a sample of the decisions not to ask.")
    respondents = serializers.IntegerField(help_text="Different respondents that the log shows.")
    share_of_previous = serializers.FloatField(allow_null=True)


class FunnelSerializer(serializers.Serializer[Any]):
    stages = _StageSerializer(many=True)
    dismissed = serializers.FloatField(source="dismissed.count")
    only_seen = serializers.FloatField(help_text="Shown, and neither answered nor dismissed so far.")
    response = _RateSerializer(help_text="Answered, of the asks that were shown.")
    dismissal = _RateSerializer(help_text="Dismissed, of the asks that were shown.")
    response_of_respondents = _RateSerializer(help_text="The same by respondents.")
    dismissal_of_respondents = _RateSerializer()


class _GroupSerializer(FunnelSerializer):
    name = serializers.CharField(help_text="Empty where there is none.")

    def to_representation(self, group: Any) -> dict[str, Any]:
        return {"name": group.name, **FunnelSerializer(group.funnel).data}


class _ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()
    meaning = serializers.CharField(source="reason.label")
    count = serializers.FloatField()
    respondents = serializers.IntegerField()


class _BinSerializer(serializers.Serializer[Any]):
    low = serializers.FloatField()
    high = serializers.FloatField()
    decisions = serializers.FloatField()
    expected = serializers.FloatField(help_text="Asks that the logged propensities announce.")
    asked = serializers.IntegerField()
    rate = serializers.FloatField(allow_null=True)


class _FiniteField(serializers.FloatField):
    """A float, null where it is not finite: JSON has no infinity."""

    def to_representation(self, value: float) -> float | None:  # type: ignore[override]  # JSON's null
        return value if math.isfinite(value) else None


class _GuardrailSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    asked = serializers.FloatField(allow_null=True, help_text="Among respondents who may be asked.")
    holdout = serializers.FloatField(allow_null=True, help_text="Among those who never are.")
    difference = serializers.FloatField(source="value", allow_null=True)
    low = _FiniteField(allow_null=True, help_text="Of the 95% interval of the difference; null: open.")
    high = _FiniteField(allow_null=True)
    is_clear = serializers.BooleanField(help_text="Whether the interval leaves no difference out.")


class _HarmSerializer(serializers.Serializer[Any]):
    asked_respondents = serializers.IntegerField(source="asked.respondents")
    holdout_respondents = serializers.IntegerField(source="holdout.respondents")
    opted_out = serializers.IntegerField(help_text="Respondents who do not want to be asked, at the end of the period.")
    guardrails = _GuardrailSerializer(many=True)


class _EffectSerializer(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField()
    high = serializers.FloatField()
    is_clear = serializers.BooleanField()


class _AnchoringSerializer(serializers.Serializer[Any]):
    shown = _RateSerializer(help_text="Agreement with the model where its answer was shown.")
    blind = _RateSerializer(help_text="Where it was hidden.")
    effect = _EffectSerializer(help_text="Shown minus blind.")


class _PartSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    opportunities = serializers.FloatField(help_text="Share of the opportunities.")
    answered = serializers.FloatField(help_text="Share of the answers.")
    contribution = serializers.FloatField(source="partial", help_text="Below 0: under-represented among the answers.")


class _RepresentationSerializer(serializers.Serializer[Any]):
    r_indicator = serializers.FloatField(source="indicator.adjusted", help_text="1: all segments answer alike.")
    low = serializers.FloatField(source="indicator.low")
    high = serializers.FloatField(source="indicator.high")
    variation = serializers.FloatField(source="indicator.observed.variation")
    segments = _PartSerializer(many=True, source="parts")


class _AnswersSerializer(serializers.Serializer[Any]):
    n = serializers.IntegerField()
    effective_n = serializers.FloatField(help_text="Kish's, of the weights 1 / propensity.")
    median_seconds = serializers.FloatField(allow_null=True, help_text="From shown to answered.")


class FunnelReportSerializer(serializers.Serializer[Any]):
    since = serializers.DateTimeField(source="period.since")
    until = serializers.DateTimeField(source="period.until")
    question = serializers.CharField(source="period.question")
    funnel = FunnelSerializer(source="breakdown.all")
    by_segment = _GroupSerializer(many=True, source="breakdown.by_segment")
    by_model_version = _GroupSerializer(many=True, source="breakdown.by_model_version")
    by_draw = _GroupSerializer(
        many=True, source="breakdown.by_draw", help_text="Asks drawn by the policy, and by its uniform audit share."
    )
    by_sight = _GroupSerializer(
        many=True, source="breakdown.by_sight", help_text="Asks that showed what the model said, and blind ones."
    )
    reasons = _ReasonSerializer(many=True)
    propensities = _BinSerializer(many=True, help_text=f"{PROPENSITY_STEPS} steps of the chance of being asked.")
    harm = _HarmSerializer(help_text="Respondents who may be asked, beside those who never are.")
    anchoring = _AnchoringSerializer()
    representation = _RepresentationSerializer(allow_null=True, help_text="Null: nothing to compare.")
    answers = _AnswersSerializer()
