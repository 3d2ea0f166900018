"""GET /projects/{slug}/signals: what thumbs, clicks and other signals are worth."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from datasets.estimation.wilson import Estimate
from datasets.services import signals
from datasets.services.signals import Calibration, SignalReport
from labeling.access import Capability
from labeling.edges import ProjectView


class RightShareSerializer(serializers.Serializer[None]):
    right = serializers.FloatField(help_text="Share of the predictions that are right.")
    low = serializers.FloatField(help_text="Its interval at 95%.")
    high = serializers.FloatField()
    n = serializers.IntegerField()


class SignalSerializer(RightShareSerializer):
    name = serializers.CharField(help_text="The signal, or the range of its value.")


class SignalGroupsSerializer(serializers.Serializer[None]):
    name = serializers.CharField()
    groups = SignalSerializer(many=True, help_text="About equally large, by the value, lowest first.")


class SignalBinSerializer(RightShareSerializer):
    foretold = serializers.FloatField(help_text="Mean chance of being right, given the signals.")


class SignalCalibrationSerializer(serializers.Serializer[None]):
    n = serializers.IntegerField(help_text="Predictions with signals whose truth is known.")
    expected_error = serializers.FloatField(help_text="Mean distance of foretold and true.")
    brier = serializers.FloatField()
    base_brier = serializers.FloatField(help_text="The same by the base rate for all alike.")
    bins = SignalBinSerializer(many=True)


class SignalReportSerializer(serializers.Serializer[dict[str, object]]):
    base = RightShareSerializer(allow_null=True, help_text="Of all predictions that any signal came about.")
    signals = SignalSerializer(many=True)
    curves = SignalGroupsSerializer(many=True, help_text="Of signals whose value is a number.")
    calibration = SignalCalibrationSerializer(
        allow_null=True,
        help_text="Each prediction by rates that its own item did not teach; null while too few are known.",
    )
    is_sampled = serializers.BooleanField(help_text="Whether there are more signals than were looked at.")


class Signals(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(operation_id="signals_read", summary="Read what signals are worth", responses=SignalReportSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """On predictions whose truth is known from elsewhere than feedback: how often each signal came with a right one, and
        whether what all signals of a prediction together foretell comes true."""
        return Response(SignalReportSerializer(_content(signals.signals(self.project))).data)


def _content(report: SignalReport | None) -> dict[str, object]:
    if report is None:
        return {"base": None, "signals": [], "curves": [], "calibration": None, "is_sampled": False}
    return {
        "base": _share(report.base),
        "signals": [{"name": each.name, **_share(each.right)} for each in report.signals],
        "curves": [
            {"name": name, "groups": [{"name": each.name, **_share(each.right)} for each in groups]}
            for name, groups in report.curves
        ],
        "calibration": None if report.calibration is None else _calibration(report.calibration),
        "is_sampled": report.is_sampled,
    }


def _calibration(found: Calibration) -> dict[str, object]:
    return {
        "n": found.n,
        "expected_error": found.expected_error,
        "brier": found.brier,
        "base_brier": found.base_brier,
        "bins": [{"foretold": each.foretold, **_share(each.right)} for each in found.bins],
    }


def _share(of: Estimate) -> dict[str, float | int | None]:
    return {"right": of.value, "low": of.low, "high": of.high, "n": of.n}
