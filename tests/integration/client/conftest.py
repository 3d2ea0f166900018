"""The Python client in front of the real service, through a proxy that fails when told to."""

from collections.abc import Callable, Iterator

import pytest
from feedback_client import Client, Options
from pytest_django.live_server_helper import LiveServer

from labeling.models import Project
from tests.factories.labeling import model_version
from tests.integration.client.flaky_proxy import FlakyProxy

UNHURRIED = Options(linger_seconds=600.0, ask_timeout_seconds=20.0)
"""Sends when flushed, or when a batch is full: what travels together does not depend on how busy the machine is."""
MakeClient = Callable[..., Client]


@pytest.fixture
def proxy(live_server: LiveServer) -> Iterator[FlakyProxy]:
    proxy = FlakyProxy(live_server.url)
    yield proxy
    proxy.close()


@pytest.fixture
def pets(transactional_db: None, project: Project) -> Project:
    """Cats, dogs and birds, and the model version m1."""
    model_version(project)
    return project


@pytest.fixture
def make_client(proxy: FlakyProxy, pets: Project, secret_key: str) -> Iterator[MakeClient]:
    made: list[Client] = []

    def make(options: Options = UNHURRIED, *, key: str = secret_key) -> Client:
        client = Client(proxy.url, pets.slug, key, strict=True, options=options)
        made.append(client)
        return client

    yield make
    proxy.released.set()
    for client in made:
        client.shutdown(30.0)


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()
