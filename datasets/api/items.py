"""GET /projects/{slug}/items and one item, with all that is known of them. Sending items is labeling's."""

from typing import Any

from django.db.models import TextChoices
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from datasets import selectors
from datasets.models import AcceptedLabel
from datasets.selectors import ItemFilters, KnownItem
from labeling import selectors as facts
from labeling.access import Capability
from labeling.edges import IdCursorPagination, ProjectView
from labeling.errors import NotFound
from labeling.models import AnnotationTask, Item, ModelVersion, PoolEntry, Prediction
from labeling.probability import unpack
from labeling.splitting import is_in_audit_reserve, split_of


class ItemState(TextChoices):
    """Names of `PoolEntry.State` on the wire."""

    AVAILABLE = "available"
    QUEUED = "queued"
    ANSWERED = "answered"
    UNUSABLE = "unusable"


class ItemFilterSerializer(serializers.Serializer[None]):
    state = serializers.ChoiceField(choices=ItemState.choices, required=False)
    key_prefix = serializers.CharField(required=False, max_length=200, trim_whitespace=False)
    predicted_class = serializers.CharField(
        required=False, max_length=100, trim_whitespace=False, help_text="By the champion."
    )
    min_confidence = serializers.FloatField(required=False, min_value=0, max_value=1, help_text="Of the champion.")
    max_confidence = serializers.FloatField(required=False, min_value=0, max_value=1, help_text="Of the champion.")
    label = serializers.CharField(  # type: ignore[assignment]  # a declared field; the metaclass keeps it apart from Field.label
        required=False, max_length=100, trim_whitespace=False, help_text="Accepted label."
    )
    is_audit = serializers.BooleanField(
        required=False, default=None, allow_null=True, help_text="In the audit reserve."
    )


class ItemPredictionSerializer(serializers.ModelSerializer[Prediction]):
    model_version = serializers.CharField(read_only=True)
    probabilities = serializers.DictField(child=serializers.FloatField(), read_only=True)

    class Meta:
        model = Prediction
        fields = ["model_version", "predicted_class", "answer", "confidence", "probabilities", "context", "created_at"]
        read_only_fields = fields


class ItemTaskSerializer(serializers.ModelSerializer[AnnotationTask]):
    class Meta:
        model = AnnotationTask
        fields = [
            "id",
            "state",
            "reason",
            "informativeness",
            "propensity",
            "is_audit",
            "lease_expires_at",
            "created_at",
        ]
        read_only_fields = fields


class ItemLabelSerializer(serializers.ModelSerializer[AcceptedLabel]):
    label_schema_version = serializers.IntegerField(source="label_schema.version", read_only=True)

    class Meta:
        model = AcceptedLabel
        fields = [
            "id",
            "label",
            "answer",
            "label_schema_version",
            "probability",
            "method",
            "is_audit",
            "propensity",
            "accepted_at",
        ]
        read_only_fields = fields


class KnownItemSerializer(serializers.Serializer[KnownItem]):
    id = serializers.IntegerField(source="item.pk")
    key = serializers.CharField(source="item.key")
    payload = serializers.DictField(source="item.payload")
    segments = serializers.DictField(source="item.segments", child=serializers.CharField())
    state = serializers.SerializerMethodField()
    split = serializers.SerializerMethodField()
    is_audit = serializers.SerializerMethodField(
        help_text="In the audit reserve: drawn at random only, never trained on."
    )
    created_at = serializers.DateTimeField(source="item.created_at")
    updated_at = serializers.DateTimeField(source="item.updated_at")
    prediction = serializers.SerializerMethodField(help_text="The champion's.")
    task = ItemTaskSerializer(allow_null=True, help_text="Open, or the one that was answered last.")
    accepted_label = ItemLabelSerializer(allow_null=True)

    def get_state(self, known: KnownItem) -> ItemState:
        return ItemState(PoolEntry.State(known.item.pool_entry.state).label)

    @extend_schema_field(serializers.ChoiceField(choices=["train", "validation", "test"]))
    def get_split(self, known: KnownItem) -> str:
        return split_of(known.item.bucket)

    def get_is_audit(self, known: KnownItem) -> bool:
        return is_in_audit_reserve(known.item.bucket)

    @extend_schema_field(ItemPredictionSerializer(allow_null=True))
    def get_prediction(self, known: KnownItem) -> dict[str, Any] | None:
        champion: ModelVersion | None = self.context["champion"]
        if known.prediction is None or champion is None:
            return None
        values = unpack(bytes(known.prediction.probabilities), len(champion.classes)).tolist()
        return {
            "model_version": champion.name,
            "predicted_class": known.prediction.predicted_class,
            "answer": known.prediction.answer,
            "confidence": known.prediction.confidence,
            "probabilities": {name: round(value, 6) for name, value in zip(champion.classes, values, strict=True)},
            "context": known.prediction.context,
            "created_at": known.prediction.created_at,
        }


class ItemPagination(IdCursorPagination):
    max_page_size = 200  # payloads may be large


class ItemList(ProjectView):
    capabilities = {"GET": Capability.READ}
    pagination_class = ItemPagination

    @extend_schema(
        operation_id="items_list",
        summary="List items",
        parameters=[ItemFilterSerializer],
        responses=KnownItemSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """With their state, the champion's prediction, task and accepted label, in the order of arrival."""
        wanted = ItemFilterSerializer(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        champion = facts.champion(self.project)
        items = selectors.filtered_items(self.project, champion, _filters(wanted.validated_data))
        paginator = self.pagination_class()
        page: list[Item] = paginator.paginate_queryset(items, request, view=self) or []
        serializer = KnownItemSerializer(context={"champion": champion})
        known = selectors.known_items(page, champion)
        return paginator.get_paginated_response([serializer.to_representation(item) for item in known])


class ItemDetail(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(operation_id="items_read", summary="Read an item", responses=KnownItemSerializer)
    def get(self, request: Request, slug: str, item_id: int) -> Response:
        item = Item.objects.filter(project=self.project, pk=item_id).select_related("pool_entry").first()
        if item is None:
            raise NotFound("No such item.", code="item_not_found")
        champion = facts.champion(self.project)
        known = selectors.known_items([item], champion)
        return Response(KnownItemSerializer(known[0], context={"champion": champion}).data)


def _filters(wanted: dict[str, Any]) -> ItemFilters:
    state = wanted.pop("state", None)
    return ItemFilters(state=None if state is None else PoolEntry.State[ItemState(state).name], **wanted)
