"""The widget at its stable address."""

import gzip

import pytest
from django.test import Client

from sampling import widget_file


@pytest.fixture
def client() -> Client:
    return Client()


def test_any_origin_may_load_and_pin_it_without_a_login(client: Client) -> None:
    response = client.get("/widget.js")
    assert response.status_code == 200
    assert response.content == widget_file.current().content
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Set-Cookie" not in response.headers


def test_it_is_packed_for_those_who_unpack(client: Client) -> None:
    response = client.get("/widget.js", headers={"Accept-Encoding": "br, gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.content) == widget_file.current().content


@pytest.mark.parametrize("known", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
def test_who_has_it_does_not_get_it_again(client: Client, known: str) -> None:
    etag = client.get("/widget.js").headers["ETag"]
    response = client.get("/widget.js", headers={"If-None-Match": known.format(etag=etag)})
    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["ETag"] == etag
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_who_has_another_version_gets_it(client: Client) -> None:
    response = client.get("/widget.js", headers={"If-None-Match": '"older"'})
    assert response.status_code == 200


def test_nothing_can_be_sent_to_it(client: Client) -> None:
    assert client.post("/widget.js").status_code == 405
