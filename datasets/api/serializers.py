"""Forms of accepted labels and snapshots on the wire."""

from rest_framework import serializers

from datasets.models import AcceptedLabel, Snapshot


class AcceptedLabelSerializer(serializers.ModelSerializer[AcceptedLabel]):
    item_key = serializers.CharField(source="item.key", read_only=True)
    label_schema_version = serializers.IntegerField(source="label_schema.version", read_only=True)
    evidence = serializers.ListField(
        child=serializers.IntegerField(),
        source="evidence_ids",
        read_only=True,
        help_text="Ids of the annotations the label rests on.",
    )
    other_evidence = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()),
        read_only=True,
        help_text="Ids of what else it rests on: correction, feedback, review, gold.",
    )
    run_id = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="The fit of the label model whose parameters gave the probability."
    )

    class Meta:
        model = AcceptedLabel
        fields = [
            "id", "item_id", "item_key", "label", "answer", "label_schema_version", "probability", "method", "evidence",
            "other_evidence", "run_id",
            "is_audit", "reason", "propensity", "accepted_at",
        ]  # fmt: skip
        read_only_fields = fields


class LabelFilters(serializers.Serializer[None]):
    since_id = serializers.IntegerField(
        required=False,
        min_value=0,
        help_text="Only labels with a higher id. A project's labels become visible in the order of their ids, so the "
        "highest id seen is a safe mark to go on from. Labels that were withdrawn since are not told this way.",
    )
    is_audit = serializers.BooleanField(required=False, help_text="Drawn uniformly at random, or not.")
    label = serializers.CharField(  # type: ignore[assignment]  # a declared field; the metaclass keeps it apart from Field.label
        required=False, max_length=100, help_text="Class key."
    )


class ChangesWanted(serializers.Serializer[None]):
    since = serializers.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=2**63 - 1,
        help_text="The `next` of the call before; 0 for all.",
    )
    payload = serializers.BooleanField(required=False, default=False, help_text="With payloads and segments.")


class NewSnapshotSerializer(serializers.Serializer[None]):
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)


class SnapshotSerializer(serializers.ModelSerializer[Snapshot]):
    label_schema_version = serializers.IntegerField(source="label_schema.version", read_only=True)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True, help_text="Empty for apps."
    )
    split_counts = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    class_counts = serializers.DictField(child=serializers.IntegerField(), read_only=True)

    class Meta:
        model = Snapshot
        fields = [
            "number", "state", "note", "content_hash", "row_count", "split_counts", "class_counts", "audit_count",
            "label_schema_version", "created_at", "created_by",
        ]  # fmt: skip
        read_only_fields = fields
