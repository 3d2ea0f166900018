"""What is known of an end user: export and erasure."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import ProjectView
from labeling.errors import InvalidInput
from labeling.respondent_hash import LONGEST_RESPONDENT
from labeling.services import respondents


class RespondentExportSerializer(serializers.Serializer[None]):
    rows = serializers.DictField(
        child=serializers.ListField(child=serializers.DictField()), help_text="All rows about them, by table."
    )


class ErasedSerializer(serializers.Serializer[None]):
    deleted = serializers.DictField(child=serializers.IntegerField(), help_text="Rows that are gone, by table.")
    blanked = serializers.DictField(
        child=serializers.IntegerField(), help_text="Rows that say no more that it was them, by table."
    )


class RespondentExport(ProjectView):
    capabilities = {"GET": Capability.HANDLE_RESPONDENTS}

    @extend_schema(
        operation_id="respondents_export",
        summary="Export what is known of an end user",
        responses=RespondentExportSerializer,
    )
    def get(self, request: Request, slug: str, respondent: str) -> Response:
        """By your own id of them. For owners and secret keys."""
        rows: dict[str, Any] = respondents.export(self.project, _checked(respondent))
        return Response({"rows": rows}, headers={"Cache-Control": "no-store"})


class RespondentDetail(ProjectView):
    capabilities = {"DELETE": Capability.HANDLE_RESPONDENTS}

    @extend_schema(operation_id="respondents_erase", summary="Erase an end user", responses={200: ErasedSerializer})
    def delete(self, request: Request, slug: str, respondent: str) -> Response:
        """What they said is deleted. That somebody was asked stays, but not who. Again changes nothing.

        For owners and secret keys.
        """
        erased = respondents.erase(self.project, _checked(respondent))
        return Response({"deleted": dict(erased.deleted), "blanked": dict(erased.blanked)})


def _checked(respondent: str) -> str:
    if len(respondent) > LONGEST_RESPONDENT:
        raise InvalidInput(
            f"A respondent's id has at most {LONGEST_RESPONDENT} characters.",
            code="invalid_respondent",
            fields={"respondent": "too long"},
        )
    return respondent
