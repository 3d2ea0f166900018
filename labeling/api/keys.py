"""API keys of a project."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.api.serializers import (
    ApiKeyChangesSerializer,
    ApiKeySerializer,
    CreatedApiKeySerializer,
    NewApiKeySerializer,
)
from labeling.edges import NewestFirstPagination, ProjectView
from labeling.errors import NotFound
from labeling.models import ApiKey
from labeling.services import api_keys


class KeyList(ProjectView):
    capabilities = {"GET": Capability.ADMINISTER, "POST": Capability.ADMINISTER}
    pagination_class = NewestFirstPagination

    @extend_schema(operation_id="keys_list", summary="List API keys", responses=ApiKeySerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Revoked ones too. The keys themselves are not stored, only how they begin."""
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(ApiKey.objects.filter(project=self.project), request, view=self)
        return paginator.get_paginated_response(ApiKeySerializer(page, many=True).data)

    @extend_schema(
        operation_id="keys_create",
        summary="Create an API key",
        request=NewApiKeySerializer,
        responses={201: CreatedApiKeySerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """The answer holds the key, this once."""
        wanted = NewApiKeySerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        created = api_keys.create(self.project, **wanted.validated_data, by=self.caller.user)
        content = {**ApiKeySerializer(created.api_key).data, "key": created.key}
        return Response(content, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class KeyDetail(ProjectView):
    capabilities = {"DELETE": Capability.ADMINISTER, "PATCH": Capability.ADMINISTER}

    @extend_schema(
        operation_id="keys_change",
        summary="Change where a publishable key may be used",
        request=ApiKeyChangesSerializer,
        responses=ApiKeySerializer,
    )
    def patch(self, request: Request, slug: str, key_id: int) -> Response:
        """Its origins, and the kinds of feedback that it may send without a token. What is left out stays."""
        wanted = ApiKeyChangesSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        changed = api_keys.change(self._key(key_id), **wanted.validated_data)
        return Response(ApiKeySerializer(changed).data)

    @extend_schema(operation_id="keys_revoke", summary="Revoke an API key", responses={204: None})
    def delete(self, request: Request, slug: str, key_id: int) -> Response:
        """From now on it opens nothing. Revoking again changes nothing."""
        api_keys.revoke(self._key(key_id), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _key(self, key_id: int) -> ApiKey:
        api_key = ApiKey.objects.filter(project=self.project, pk=key_id).first()
        if api_key is None:
            raise NotFound("No such API key.", code="key_not_found")
        return api_key
