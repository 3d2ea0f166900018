"""Forms of projects, members, keys, model versions and bulk rows on the wire."""

from typing import get_args

from rest_framework import serializers

from labeling.models import ApiKey, LabelSchema, Membership, ModelVersion, Project
from labeling.schema.confidences import PartRule
from labeling.services.recording import LISTED_RESULTS

_NAME_LENGTH = 100


class LabelClassSerializer(serializers.Serializer[None]):
    key = serializers.CharField(max_length=100, help_text="Stands in answers, predictions and datasets.")
    title = serializers.CharField(required=False, max_length=200)
    description = serializers.CharField(required=False, max_length=20_000)
    hotkey = serializers.CharField(required=False, max_length=1)


class LabelSchemaDefinitionSerializer(serializers.Serializer[None]):
    """How a definition is documented; it is checked by labeling.schema. Each kind takes its own fields only."""

    guidelines = serializers.CharField(required=False, max_length=20_000)
    classes = LabelClassSerializer(
        many=True, required=False, help_text="Of single_choice (2 or more), multi_label, spans and boxes (1 or more)."
    )
    min_choices = serializers.IntegerField(required=False, default=0, help_text="Of multi_label.")
    max_choices = serializers.IntegerField(required=False, allow_null=True, help_text="Of multi_label.")
    minimum = serializers.FloatField(
        required=False, help_text="Of rating (whole, 1 by default) and numeric (required)."
    )
    maximum = serializers.FloatField(
        required=False, help_text="Of rating (whole, 5 by default) and numeric (required)."
    )
    minimum_title = serializers.CharField(required=False, max_length=200, help_text="Of rating.")
    maximum_title = serializers.CharField(required=False, max_length=200, help_text="Of rating.")
    unit = serializers.CharField(required=False, max_length=50, help_text="Of numeric.")
    step = serializers.FloatField(required=False, allow_null=True, help_text="Of numeric.")
    a = serializers.CharField(required=False, default="a", help_text="Of preference: a field of the payload.")
    b = serializers.CharField(required=False, default="b", help_text="Of preference: a field of the payload.")
    allows_tie = serializers.BooleanField(required=False, default=True, help_text="Of preference.")
    allows_both_bad = serializers.BooleanField(required=False, default=True, help_text="Of preference.")
    field = serializers.CharField(
        required=False, help_text='Of spans ("text" by default) and boxes ("image"): a field of the payload.'
    )
    allows_overlap = serializers.BooleanField(required=False, default=False, help_text="Of spans.")
    confidence_rule = serializers.ChoiceField(
        choices=get_args(PartRule),
        required=False,
        default="least",
        help_text="Of spans and boxes: how a confidence of the whole is made of those of its parts.",
    )
    source = serializers.CharField(  # type: ignore[assignment]  # a declared field; kept apart from Field.source
        required=False, default="output", help_text="Of text_correction: the field of the payload to be edited."
    )


class DefinitionField(serializers.JSONField):
    """Documented as `LabelSchemaDefinitionSerializer`, by an extension in labeling.api.documentation."""


class LabelSchemaSerializer(serializers.ModelSerializer[LabelSchema]):
    definition = DefinitionField(read_only=True)

    class Meta:
        model = LabelSchema
        fields = ["version", "kind", "definition", "created_at"]
        read_only_fields = fields


class NewLabelSchemaSerializer(serializers.Serializer[None]):
    kind = serializers.ChoiceField(
        choices=LabelSchema.Kind.choices,
        required=False,
        help_text="By default that of the schema in force; for a new project single_choice. Cannot change any more once "
        "the project has annotations or model versions.",
    )
    definition = DefinitionField()


class ProjectSerializer(serializers.ModelSerializer[Project]):
    is_paused = serializers.SerializerMethodField(help_text="While paused, no task is served and no refill starts.")

    class Meta:
        model = Project
        fields = [
            "slug", "name", "objective", "is_paused", "shows_suggestions", "blind_share", "skill_segment", "image_origins",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_is_paused(self, project: Project) -> bool:
        return not project.is_queue_open


class ItemCountsSerializer(serializers.Serializer[None]):
    available = serializers.IntegerField()
    queued = serializers.IntegerField()
    answered = serializers.IntegerField()
    unusable = serializers.IntegerField()


class ProjectDetailSerializer(ProjectSerializer):
    label_schema = LabelSchemaSerializer(read_only=True)
    champion = serializers.CharField(read_only=True, allow_null=True, help_text="Name of the model version in use.")
    item_counts = ItemCountsSerializer(read_only=True)

    class Meta(ProjectSerializer.Meta):
        fields = [*ProjectSerializer.Meta.fields, "label_schema", "champion", "item_counts"]
        read_only_fields = fields


class NewProjectSerializer(NewLabelSchemaSerializer):
    slug = serializers.SlugField(max_length=64, help_text="Stands in addresses and never changes.")
    name = serializers.CharField(max_length=200)
    objective = serializers.CharField(
        required=False, default="", allow_blank=True, help_text="Which decision does this model serve?"
    )


class ProjectChangesSerializer(serializers.Serializer[None]):
    name = serializers.CharField(required=False, max_length=200)
    objective = serializers.CharField(required=False, allow_blank=True)
    is_paused = serializers.BooleanField(required=False)
    shows_suggestions = serializers.BooleanField(
        required=False, help_text="Whether annotators see what the champion says. Never for audit tasks."
    )
    blind_share = serializers.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        help_text="Share of the tasks whose suggestion is hidden, to measure how much people follow what they see.",
    )
    skill_segment = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=100,
        help_text="The segment whose value is the skill that an annotator needs, e.g. language; empty: none is needed.",
    )
    image_origins = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        help_text="Where browsers may load images of payloads from, e.g. https://images.example.org.",
    )


class MembershipSerializer(serializers.ModelSerializer[Membership]):
    username = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = Membership
        fields = ["username", "role", "stage", "skills", "created_at"]
        read_only_fields = fields


class MemberStageSerializer(serializers.Serializer[None]):
    stage = serializers.ChoiceField(
        choices=[Membership.Stage.TRAINING, Membership.Stage.WORKING],
        help_text="In training, a member gets items with known answers only, until they have shown that they are good.",
    )


class MemberRoleSerializer(serializers.Serializer[None]):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    skills = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        help_text="Tasks that need another skill are not served. Stays as it is unless given.",
    )


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    class Meta:
        model = ApiKey
        fields = [
            "id", "name", "kind", "prefix", "origins", "implicit_kinds", "created_at", "revoked_at", "last_used_at",
        ]  # fmt: skip
        read_only_fields = fields


class CreatedApiKeySerializer(ApiKeySerializer):
    key = serializers.CharField(read_only=True, help_text="The key itself. It is shown here once and stored nowhere.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]
        read_only_fields = fields


class NewApiKeySerializer(serializers.Serializer[None]):
    name = serializers.CharField(max_length=_NAME_LENGTH)
    kind = serializers.ChoiceField(choices=ApiKey.Kind.choices, default=ApiKey.Kind.SECRET)
    origins = serializers.ListField(
        child=serializers.CharField(max_length=200),
        default=list,
        help_text="Of a publishable key: origins of the pages that may use it, e.g. https://app.example.org.",
    )
    implicit_kinds = serializers.ListField(
        child=serializers.CharField(max_length=16),
        default=list,
        help_text="Of a publishable key: kinds of implicit feedback that it may send without a token.",
    )


class ApiKeyChangesSerializer(serializers.Serializer[None]):
    origins = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    implicit_kinds = serializers.ListField(child=serializers.CharField(max_length=16), required=False)


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    class Meta:
        model = ModelVersion
        fields = ["name", "stage", "origin", "classes", "description", "created_at"]
        read_only_fields = fields


class NewModelVersionSerializer(serializers.Serializer[None]):
    name = serializers.CharField(max_length=_NAME_LENGTH)
    classes = serializers.ListField(
        child=serializers.CharField(max_length=100, trim_whitespace=False),
        required=False,
        help_text="Class keys in the order of the probabilities; by default those of the label schema.",
    )
    description = serializers.CharField(required=False, default="", allow_blank=True)


class PredictionPartSerializer(serializers.Serializer[None]):
    model_version = serializers.CharField(max_length=100)
    probabilities = serializers.JSONField(
        required=False,
        help_text="Where an answer is a class, a level or a set of classes: {class: probability} or a list in the model "
        "version's order of classes. Sums to 1 within 0.001; with multi_label each class is judged on its own.",
    )
    answer = serializers.JSONField(
        required=False,
        help_text="Where it is a text, a number, spans or boxes: the model's answer in the form of the label schema.",
    )
    confidence = serializers.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        help_text="With an answer: the probability that all of it is right. Spans and boxes may each have one instead.",
    )
    std = serializers.FloatField(
        required=False, min_value=0, help_text="With a number, instead of the confidence: its standard deviation."
    )
    context = serializers.DictField(  # type: ignore[assignment]  # a declared field; the metaclass keeps it apart from Field.context
        required=False, help_text="Inference context: request_id, position, candidates, latency_ms, your own fields."
    )
    respondent = serializers.CharField(
        required=False, max_length=500, help_text="The end user it was made for. Only a keyed hash is stored."
    )


class PredictionRowSerializer(PredictionPartSerializer):
    key = serializers.CharField(max_length=200, help_text="Of an item that exists.")


class ItemRowSerializer(serializers.Serializer[None]):
    key = serializers.CharField(max_length=200, help_text="Your own name of the item, unique in the project.")
    payload = serializers.DictField(help_text="What is shown and learned from: text, features, pixels, ...")
    segments = serializers.DictField(child=serializers.CharField(max_length=200), required=False)
    prediction = PredictionPartSerializer(required=False)
    embedding = serializers.ListField(
        child=serializers.FloatField(),
        required=False,
        min_length=1,
        max_length=4096,
        help_text="A vector that tells which items are alike, equally long for all items of the project. Kept as float16.",
    )


class RowResultSerializer(serializers.Serializer[None]):
    index = serializers.IntegerField(help_text="Place in the array, or line of the NDJSON, from 0.")
    key = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=["created", "updated", "skipped", "failed"])
    code = serializers.CharField(required=False, help_text="Of a failed row, for programs.")
    message = serializers.CharField(required=False, help_text="Of a failed row, for people.")


class IntakeReportSerializer(serializers.Serializer[None]):
    received = serializers.IntegerField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    skipped = serializers.IntegerField()
    failed = serializers.IntegerField()
    results = RowResultSerializer(many=True)
    results_truncated = serializers.BooleanField(help_text=f"Only the first {LISTED_RESULTS:,} results are listed.")


class HealthPartSerializer(serializers.Serializer[None]):
    is_up = serializers.BooleanField()
    latency_ms = serializers.FloatField(allow_null=True)
    age_seconds = serializers.FloatField(allow_null=True, help_text="Since the last sign of life.")
    message = serializers.CharField(allow_blank=True)


class HealthSerializer(serializers.Serializer[None]):
    is_up = serializers.BooleanField()
    postgres = HealthPartSerializer()
    redis = HealthPartSerializer()
    worker = HealthPartSerializer()
