"""GET /health"""

from dataclasses import asdict

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api.serializers import HealthSerializer
from labeling.services import health


class HealthView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="health",
        summary="Say what is up and what is down",
        responses={200: HealthSerializer, 503: HealthSerializer},
        auth=[],
    )
    def get(self, request: Request) -> Response:
        """PostgreSQL, Redis and the background worker with its schedule. 503 when any of them is down."""
        found = health.check(now=timezone.now())
        code = status.HTTP_200_OK if found.is_up else status.HTTP_503_SERVICE_UNAVAILABLE
        return Response({"is_up": found.is_up, **asdict(found)}, status=code, headers={"Cache-Control": "no-store"})
