"""Client of the feedback service: log predictions, ask users, send feedback.

The public names are gathered here, because this is the front door of a distribution of its own.
"""

from feedback_client.asyncio_client import AsyncClient
from feedback_client.client import Client
from feedback_client.counters import Stats
from feedback_client.decisions import Decision
from feedback_client.errors import InvalidArgument
from feedback_client.inference import logged, watching
from feedback_client.options import Options
from feedback_client.request_ids import (
    ASGIRequestIdMiddleware,
    WSGIRequestIdMiddleware,
    current_request_id,
    request_id_scope,
)
from feedback_client.rows import Candidate

__all__ = [
    "ASGIRequestIdMiddleware",
    "AsyncClient",
    "Candidate",
    "Client",
    "Decision",
    "InvalidArgument",
    "Options",
    "Stats",
    "WSGIRequestIdMiddleware",
    "current_request_id",
    "logged",
    "request_id_scope",
    "watching",
]
