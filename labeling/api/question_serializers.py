"""Forms of questions on the wire."""

from typing import Any

from rest_framework import serializers

from labeling.models import Question, QuestionVersion
from labeling.services.questions import LONGEST_OBJECTIVE, LONGEST_REASON


class QuestionVersionSerializer(serializers.ModelSerializer[QuestionVersion]):
    class Meta:
        model = QuestionVersion
        fields = [
            "id", "version", "kind", "definition", "objective", "target_answers", "target_half_width", "deadline",
            "epsilon", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class QuestionSerializer(serializers.ModelSerializer[Question]):
    newest = serializers.SerializerMethodField()

    class Meta:
        model = Question
        fields = ["key", "state", "ended_reason", "created_at", "newest"]
        read_only_fields = fields

    def get_newest(self, question: Question) -> QuestionVersionSerializer:
        """The wording that is asked."""
        data: Any = QuestionVersionSerializer(question.versions.all()[0]).data
        return data  # type: ignore[no-any-return]  # the annotation is for the API description


class QuestionDetailSerializer(QuestionSerializer):
    versions = QuestionVersionSerializer(many=True, read_only=True, help_text="All of them, the newest first.")

    class Meta(QuestionSerializer.Meta):
        fields = [*QuestionSerializer.Meta.fields, "versions"]
        read_only_fields = fields


class WordingSerializer(serializers.Serializer[None]):
    definition = serializers.JSONField(help_text="Texts by locale and what the kind needs, see docs/feedback.md.")
    objective = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=LONGEST_OBJECTIVE,
        help_text="Which decision do the answers serve?",
    )
    target_answers = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, help_text="So many answers are needed."
    )
    target_half_width = serializers.FloatField(
        required=False, allow_null=True, help_text="Or as many as make the 95% interval of a share so narrow: its half."
    )
    deadline = serializers.DateTimeField(required=False, allow_null=True, help_text="From then on nobody is asked.")
    epsilon = serializers.FloatField(
        required=False,
        allow_null=True,
        help_text="Makes it private: the widget randomises answers with this budget. Above 0, at most 8.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A field that is misspelt must not leave a question without an end, or live, without a word."""
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError(dict.fromkeys(unknown, "is no field of a question"))
        return attrs


class NewQuestionSerializer(WordingSerializer):
    key = serializers.SlugField(max_length=64, help_text="Your name of it. Never changes.")
    kind = serializers.ChoiceField(choices=QuestionVersion.Kind.choices)


class QuestionChangesSerializer(WordingSerializer):
    definition = serializers.JSONField(required=False)
    state = serializers.ChoiceField(choices=Question.State.choices, required=False)
    reason = serializers.CharField(
        required=False, max_length=LONGEST_REASON, help_text="Why it ends, with the state ended."
    )
