"""Forms of review cases on the wire."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets.models import ReviewCase, ReviewDecision
from datasets.review_board import Believed, Reliability, Said
from datasets.services import review
from labeling.selectors import Suggestion

DECISIONS = [choice for choice in ReviewDecision.Action.choices if choice[0] != ReviewDecision.Action.OPEN]


class ReviewFilters(serializers.Serializer[None]):
    state = serializers.ChoiceField(choices=ReviewCase.State.choices, required=False)
    kind = serializers.ChoiceField(choices=ReviewCase.Kind.choices, required=False)
    item_key = serializers.CharField(required=False, max_length=200, trim_whitespace=False)


class ReviewSerializer(serializers.ModelSerializer[ReviewCase]):
    item_key = serializers.CharField(source="item.key", read_only=True)
    claimed_by = serializers.CharField(source="claimed_by.username", read_only=True, default=None, allow_null=True)
    detail = serializers.SerializerMethodField(
        help_text="Figures of what opened it, of a label error without the class that the model suggests. `settled` says when later "
        "evidence closed the case and by what: label_model, asked_again, votes, ground_truth, reviewed or nothing_stands."
    )

    class Meta:
        model = ReviewCase
        fields = [
            "id", "item_id", "item_key", "kind", "state", "value", "detail", "claimed_by", "claimed_until", "opened_at",
            "closed_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.DictField())
    def get_detail(self, case: ReviewCase) -> dict[str, object]:
        return {name: value for name, value in case.detail.items() if name != "suggested"}


class ReviewDecisionSerializer(serializers.ModelSerializer[ReviewDecision]):
    review_id = serializers.IntegerField(source="case_id", read_only=True)
    reviewer = serializers.CharField(source="reviewer.username", read_only=True)
    label_schema_version = serializers.IntegerField(source="label_schema.version", read_only=True)

    class Meta:
        model = ReviewDecision
        fields = [
            "id", "review_id", "action", "reviewer", "answer", "label_schema_version", "comment", "saw_suggestion",
            "decided_at",
        ]  # fmt: skip
        read_only_fields = fields


class ReliabilitySerializer(serializers.Serializer[Reliability]):
    share = serializers.FloatField(allow_null=True, help_text="Of the answers that are right by all others' evidence.")
    answers = serializers.IntegerField()
    gold_hits = serializers.IntegerField()
    gold_misses = serializers.IntegerField()
    weight = serializers.FloatField(help_text="What the source's evidence counts, from 0 to 1.")
    step = serializers.CharField(help_text="What was done about the source; empty: it is trusted.")


class SaidSerializer(serializers.Serializer[Said]):
    who = serializers.CharField()
    kind = serializers.CharField(help_text="annotation, ground truth, correction, feedback or gold.")
    summary = serializers.CharField()
    answer = serializers.JSONField(allow_null=True, help_text="Null for feedback, which states no truth.")
    at = serializers.DateTimeField()
    comment = serializers.CharField()
    duration_ms = serializers.IntegerField(allow_null=True)
    was_shown = serializers.BooleanField(
        allow_null=True, help_text="Whether they saw what the model said; null: not known."
    )
    is_flagged = serializers.BooleanField()
    reliability = ReliabilitySerializer()


class BelievedSerializer(serializers.Serializer[Believed]):
    classes = serializers.SerializerMethodField(help_text="Class keys with their probabilities, likeliest first.")
    action = serializers.CharField()
    reason = serializers.CharField()
    evidence_count = serializers.IntegerField()

    def get_classes(self, belief: Believed) -> dict[str, float]:
        return {each.key: each.probability for each in belief.classes}


class ReviewSuggestionSerializer(serializers.Serializer[Suggestion]):
    answer = serializers.JSONField()
    confidence = serializers.FloatField()
    model_version = serializers.CharField()


class ReviewDetailSerializer(ReviewSerializer):
    payload = serializers.DictField(read_only=True)
    segments = serializers.DictField(child=serializers.CharField(), read_only=True)
    evidence = SaidSerializer(
        many=True, read_only=True, help_text="All that stands, in the order in which it was said."
    )
    belief = BelievedSerializer(
        read_only=True, allow_null=True, help_text="What the label model believes, if it looked."
    )
    decisions = ReviewDecisionSerializer(
        many=True,
        source="item_history",
        read_only=True,
        help_text="What reviewers did about the item, in all its cases.",
    )
    suggestion = ReviewSuggestionSerializer(
        read_only=True, allow_null=True, help_text="What the champion says; null unless asked for."
    )

    class Meta(ReviewSerializer.Meta):
        fields = [*ReviewSerializer.Meta.fields, "payload", "segments", "evidence", "belief", "decisions", "suggestion"]
        read_only_fields = fields


class ReviewWanted(serializers.Serializer[None]):
    suggestion = serializers.BooleanField(
        required=False, default=False, help_text="With what the champion says. Then decide with saw_suggestion."
    )


class NewReviewSerializer(serializers.Serializer[None]):
    item_key = serializers.CharField(max_length=200, trim_whitespace=False)
    comment = serializers.CharField(required=False, default="", allow_blank=True, max_length=review.LONGEST_COMMENT)


class NextReviewWanted(serializers.Serializer[None]):
    kind = serializers.ChoiceField(choices=ReviewCase.Kind.choices, required=False, default="")


class NextReviewSerializer(serializers.Serializer[None]):
    review = ReviewSerializer(allow_null=True, help_text="Claimed by you; null if there is none.")


class ClaimSerializer(serializers.Serializer[None]):
    claimed_until = serializers.DateTimeField()


class NewReviewDecisionSerializer(serializers.Serializer[None]):
    action = serializers.ChoiceField(choices=DECISIONS)
    answer = serializers.JSONField(
        required=False,
        default=None,
        allow_null=True,
        help_text="With decide and gold, in the form of the label schema.",
    )
    comment = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=review.LONGEST_COMMENT,
        help_text="Required with send_back and ambiguous.",
    )
    explanation = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=review.LONGEST_COMMENT,
        help_text="With gold: what annotators in training read.",
    )
    saw_suggestion = serializers.BooleanField(
        required=False, default=False, help_text="Whether the reviewer had looked at what the model says."
    )
