"""Forms of training runs, promotions and retraining policies on the wire."""

from rest_framework import serializers

from datasets.selectors import Outcomes
from datasets.services.accuracy import AccuracyEstimate, AccuracyEstimates
from training.models import Promotion, RetrainingPolicy, TrainingRun
from training.services.policies import LARGEST_COUNT
from training.trainers import registry


class ScoresSerializer(serializers.Serializer[None]):
    """See training.evaluation.Scores."""

    n = serializers.IntegerField(help_text="Audit labels it was measured on.")
    accuracy = serializers.FloatField()
    accuracy_low = serializers.FloatField(help_text="Lower end of the 95% Wilson interval.")
    accuracy_high = serializers.FloatField(help_text="Upper end of the 95% Wilson interval.")
    log_loss = serializers.FloatField(help_text="In nats; lower is better.")
    calibration_error = serializers.FloatField(help_text="Mean distance of confidence and accuracy; lower is better.")


class RunMetricsSerializer(serializers.Serializer[None]):
    """See training.services.runs.RunMetrics. Empty until the run has succeeded."""

    n_train = serializers.IntegerField(required=False)
    class_counts = serializers.DictField(child=serializers.IntegerField(), required=False, allow_null=True)
    calibration_temperature = serializers.FloatField(required=False, allow_null=True)
    calibration_rows = serializers.IntegerField(required=False)
    calibration_note = serializers.CharField(required=False, help_text="Why it was not calibrated, if it was not.")
    fit_seconds = serializers.FloatField(required=False, allow_null=True)
    predict_seconds = serializers.FloatField(required=False, allow_null=True)
    n_predicted = serializers.IntegerField(required=False)
    n_unreadable = serializers.IntegerField(required=False, help_text="Items the model cannot read.")
    unreadable_example = serializers.CharField(required=False)
    candidate = ScoresSerializer(required=False, allow_null=True)
    champion = ScoresSerializer(required=False, allow_null=True)
    champion_name = serializers.CharField(required=False, help_text="What it was compared with; empty for nothing.")


class TrainingRunSerializer(serializers.ModelSerializer[TrainingRun]):
    snapshot = serializers.IntegerField(source="snapshot.number", read_only=True, help_text="Number of the snapshot.")
    model_version = serializers.CharField(
        source="model_version.name", read_only=True, default=None, allow_null=True, help_text="Name of what it made."
    )
    metrics = RunMetricsSerializer(read_only=True)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True, help_text="Empty for apps."
    )

    class Meta:
        model = TrainingRun
        fields = [
            "id", "state", "trigger", "trainer", "snapshot", "model_version", "message", "metrics", "attempts", "seed",
            "created_at", "created_by", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class NewTrainingRunSerializer(serializers.Serializer[None]):
    trainer = serializers.ChoiceField(
        choices=registry.names(), required=False, help_text="Default: that of the retraining policy."
    )
    snapshot = serializers.IntegerField(
        required=False, min_value=1, help_text="Number of the snapshot to train on. Default: take one now."
    )
    model_version = serializers.CharField(
        required=False,
        max_length=100,
        help_text="Report that you trained this model version from the snapshot yourself; nothing is started.",
    )

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        if "model_version" in attrs and "snapshot" not in attrs:
            raise serializers.ValidationError({"snapshot": "Say which snapshot the model version was trained on."})
        if "model_version" in attrs and "trainer" in attrs:
            raise serializers.ValidationError({"trainer": "A model version of your own has no built-in trainer."})
        return attrs


class GateSerializer(serializers.Serializer[None]):
    """See training.services.promotion.GateRecord."""

    verdict = serializers.ChoiceField(
        choices=["first", "not_worse", "no_loss_seen", "too_few_rows", "undecided", "worse"]
    )
    summary = serializers.CharField()
    rows = serializers.IntegerField(help_text="Audit labels both had predicted.")
    candidate_accuracy = serializers.FloatField(allow_null=True)
    champion_accuracy = serializers.FloatField(allow_null=True)
    difference = serializers.FloatField(allow_null=True, help_text="Candidate minus champion.")
    lower_bound = serializers.FloatField(allow_null=True, help_text="One-sided 95% bound of the difference.")
    gained = serializers.IntegerField(allow_null=True, help_text="Rows only the candidate got right.")
    lost = serializers.IntegerField(allow_null=True, help_text="Rows only the champion got right.")
    p_worse = serializers.FloatField(allow_null=True, help_text="One-sided mid-p of McNemar's test.")


class PromotionSerializer(serializers.ModelSerializer[Promotion]):
    model_version = serializers.CharField(source="model_version.name", read_only=True)
    previous = serializers.CharField(
        source="previous.name", read_only=True, default=None, allow_null=True, help_text="The champion before."
    )
    gate = GateSerializer(read_only=True)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True, help_text="Empty for apps."
    )

    class Meta:
        model = Promotion
        fields = ["id", "model_version", "previous", "outcome", "is_forced", "gate", "created_at", "created_by"]
        read_only_fields = fields


class NewPromotionSerializer(serializers.Serializer[None]):
    force = serializers.BooleanField(required=False, default=False, help_text="Overrule the gate. Recorded as such.")


class RetrainingPolicySerializer(serializers.ModelSerializer[RetrainingPolicy]):
    created_by = serializers.CharField(source="created_by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = RetrainingPolicy
        fields = [
            "version", "trainer", "min_new_labels", "growth_fraction", "cooldown_seconds", "promotes_automatically",
            "created_at", "created_by",
        ]  # fmt: skip
        read_only_fields = fields


class NewRetrainingPolicySerializer(serializers.Serializer[None]):
    """What is left out stays as it is."""

    trainer = serializers.ChoiceField(choices=registry.names(), required=False)
    min_new_labels = serializers.IntegerField(
        required=False, min_value=0, max_value=LARGEST_COUNT, help_text="0 turns the trigger off."
    )
    growth_fraction = serializers.FloatField(required=False, min_value=0, max_value=100)
    cooldown_seconds = serializers.IntegerField(required=False, min_value=0, max_value=LARGEST_COUNT)
    promotes_automatically = serializers.BooleanField(required=False)


class AccuracyEstimateSerializer(serializers.Serializer[AccuracyEstimate]):
    kind = serializers.ChoiceField(choices=["audit", "prediction_powered", "active"])
    value = serializers.FloatField(allow_null=True, help_text="Null where the data cannot carry an estimate.")
    low = serializers.FloatField(allow_null=True, help_text="Of the 95% interval.")
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField(help_text="Labels it rests on.")
    effective_n = serializers.FloatField(help_text="So many labels drawn uniformly would be as precise.")
    verdict = serializers.ChoiceField(choices=["good", "weak", "not_estimable"])
    reason = serializers.CharField()


class OutcomesSerializer(serializers.Serializer[Outcomes]):
    n = serializers.IntegerField()
    correct = serializers.IntegerField()


class AccuracySerializer(serializers.Serializer[AccuracyEstimates]):
    """The share of right answers of a model version, estimated in several ways."""

    model_version = serializers.CharField(source="model_version.name")
    headline = AccuracyEstimateSerializer(allow_null=True)
    audit = AccuracyEstimateSerializer(help_text="Labels drawn uniformly, weighted by arrival; Wilson interval.")
    prediction_powered = AccuracyEstimateSerializer(
        help_text="The same, with the model's confidence as control variate."
    )
    active = AccuracyEstimateSerializer(
        help_text="Draws since the training snapshot, weighted by their propensities (LURE)."
    )
    naive = OutcomesSerializer(help_text="Chosen labels unweighted, for contrast: far too low.")
    drawn = serializers.IntegerField(help_text="Draws since the training snapshot.")
    answered = serializers.IntegerField(help_text="Of these.")
