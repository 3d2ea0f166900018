"""Forms of feedback and of the tokens of asks on the wire. They describe the API; msgspec reads the bodies."""

from rest_framework import serializers

from labeling.feedback_rows import CORRECTION, KINDS, LONGEST_COMMENT, LONGEST_ID
from labeling.models import Ask
from labeling.services.ask_events import EventKind


class FeedbackRowSerializer(serializers.Serializer[None]):
    """One row. It names one target: token, ask_id, prediction_id, request_id or key."""

    id = serializers.CharField(
        required=False,
        max_length=LONGEST_ID,
        help_text="Your own name of it; each counts once. Without, every row counts.",
    )
    kind = serializers.ChoiceField(choices=[*KINDS, CORRECTION])
    value = serializers.JSONField(
        required=False,
        help_text='thumb: "up" or "down"; rating: a number, from context.min to context.max (1 to 5); choice: a text or a '
        'list; text; preference: "a", "b" or "tie"; dwell: seconds; edit: share changed, 0 to 1; conversion: worth or '
        "nothing; correction: an answer in the form of the label schema. The other kinds have none.",
    )
    comment = serializers.CharField(required=False, max_length=LONGEST_COMMENT)
    token = serializers.CharField(required=False, max_length=300, help_text="Of the ask it is about.")
    ask_id = serializers.IntegerField(required=False)
    prediction_id = serializers.IntegerField(required=False)
    request_id = serializers.CharField(
        required=False, max_length=200, help_text="context.request_id of the prediction, which may come in later."
    )
    key = serializers.CharField(required=False, max_length=200, help_text="Of the item, which may come in later.")
    model_version = serializers.CharField(required=False, max_length=100, help_text="With the key: whose prediction.")
    respondent = serializers.CharField(
        required=False, max_length=500, help_text="The end user who said it. Only a keyed hash is stored."
    )
    occurred_at = serializers.DateTimeField(required=False, help_text="By the client's clock.")
    sent_at = serializers.DateTimeField(
        required=False, help_text="By the same clock: tells how far it is off, and occurred_at is corrected by that."
    )
    context = serializers.DictField(  # type: ignore[assignment]  # a declared field; the metaclass keeps it apart from Field.context
        required=False, help_text="position, candidates and your own fields."
    )
    supersedes = serializers.CharField(required=False, help_text="Id of an earlier row that stands no more.")


class AskEventSerializer(serializers.Serializer[None]):
    event = serializers.ChoiceField(choices=[(kind.value, kind.value) for kind in EventKind])
    answer = serializers.JSONField(
        required=False, help_text="In the form of the question's kind, see docs/feedback.md."
    )
    randomised = serializers.JSONField(
        required=False,
        help_text='Of a private question: {"mechanism": "krr", "epsilon", "k"}. May stand in the answer as well.',
    )
    comment = serializers.CharField(required=False, max_length=LONGEST_COMMENT)
    id = serializers.CharField(required=False, max_length=LONGEST_ID, help_text="Of the answer; it counts once.")
    duration_ms = serializers.IntegerField(required=False, min_value=0)
    occurred_at = serializers.DateTimeField(required=False)
    sent_at = serializers.DateTimeField(required=False)
    context = serializers.DictField(required=False)  # type: ignore[assignment]  # as above


class AskOutcomeSerializer(serializers.Serializer[None]):
    state = serializers.ChoiceField(choices=Ask.State.choices)
    feedback_id = serializers.IntegerField(
        allow_null=True, help_text="Of the opinion; none where only the truth was said."
    )
    may_edit_until = serializers.DateTimeField(allow_null=True)


class ShownAskSerializer(serializers.Serializer[None]):
    state = serializers.ChoiceField(choices=Ask.State.choices)
    key = serializers.CharField(help_text="Of the item that the ask is about.")
    question = serializers.JSONField(help_text="As the widget shows it, see docs/feedback.md.")
    expires_at = serializers.DateTimeField()
