"""Forms of sources and their standings on the wire."""

from rest_framework import serializers

from datasets.models import SourceDecision, SourceStanding
from datasets.services import standings

STEPS = [(step.value, f"{step.label}: {step.meaning}") for step in SourceStanding.Step]


class FindingSerializer(serializers.Serializer[None]):
    family = serializers.CharField(
        help_text="agreement, gold, invariability, speed, collusion, contradiction; targeting and text are hints only."
    )
    nats = serializers.FloatField(help_text="10 is about 1 in 20,000 by chance.")
    text = serializers.CharField()


class SourceSerializer(serializers.ModelSerializer[SourceStanding]):
    annotator = serializers.CharField(
        source="annotator.username", read_only=True, default=None, allow_null=True, help_text="Of a respondent: null."
    )
    step = serializers.ChoiceField(choices=STEPS, read_only=True)
    reasons = FindingSerializer(many=True, read_only=True)
    decided_by = serializers.CharField(
        source="decided_by.username", read_only=True, default=None, allow_null=True, help_text="Null: an examination."
    )
    last_decision_id = serializers.IntegerField(
        read_only=True,
        allow_null=True,
        help_text="To be named when you decide, so that two people do not overwrite each other.",
    )

    class Meta:
        model = SourceStanding
        fields = [
            "id", "annotator", "respondent_hash", "step", "weight", "suspicion_nats", "reasons", "answers", "hits", "misses",
            "gold_hits", "gold_misses", "decided_by", "last_decision_id", "examined_at", "changed_at",
        ]  # fmt: skip
        read_only_fields = fields


class SourceDecisionSerializer(serializers.ModelSerializer[SourceDecision]):
    step_before = serializers.ChoiceField(choices=STEPS, read_only=True)
    step_after = serializers.ChoiceField(choices=STEPS, read_only=True)
    reasons = FindingSerializer(many=True, read_only=True)
    decided_by = serializers.CharField(
        source="decided_by.username", read_only=True, default=None, allow_null=True, help_text="Null: an examination."
    )

    class Meta:
        model = SourceDecision
        fields = ["id", "step_before", "step_after", "weight_after", "reasons", "comment", "decided_by", "decided_at"]
        read_only_fields = fields


class SourceFilters(serializers.Serializer[None]):
    step = serializers.ChoiceField(choices=STEPS, required=False)


class NewSourceDecisionSerializer(serializers.Serializer[None]):
    action = serializers.ChoiceField(
        choices=[(action.value, f"{name}: {standings.meaning(action)}") for action, name in standings.NAMES.items()],
        help_text="keep leaves the step as it is, as your decision. block needs a comment.",
    )
    last_decision_id = serializers.IntegerField(
        allow_null=True, help_text="The newest decision you know of, from the listing; null if there was none."
    )
    comment = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=standings.LONGEST_COMMENT, trim_whitespace=True
    )
    weight = serializers.FloatField(
        required=False, default=standings.WEIGHT_UNLESS_SAID, help_text="Of the action weight: above 0, below 1."
    )
