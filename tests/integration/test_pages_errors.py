"""What people see when something is wrong on our side or theirs."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from feedbackproject.page_errors import PageErrorMiddleware, server_error
from labeling.errors import Conflict, InvalidInput, NotAllowed, NotFound


def _request(path: str, **headers: str) -> HttpRequest:
    request = RequestFactory().get(path, headers=headers)
    request.user = AnonymousUser()
    return request


def _answer(error: Exception, path: str = "/projects/", **headers: str) -> HttpResponse | None:
    middleware = PageErrorMiddleware(lambda request: HttpResponse())
    return middleware.process_exception(_request(path, **headers), error)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("Gone <b>."), 404),
        (NotAllowed("Not you <b>."), 403),
        (Conflict("Not now <b>."), 409),
        (InvalidInput("Not so <b>."), 400),
    ],
)
def test_an_error_of_the_domain_is_a_page_that_says_what_is_wrong(error: Exception, status: int) -> None:
    response = _answer(error)
    assert response is not None
    assert response.status_code == status
    content = response.content.decode()
    assert str(error).replace("<b>", "&lt;b&gt;") in content
    assert "To the projects" in content


def test_a_fragment_gets_the_error_without_the_frame() -> None:
    response = _answer(Conflict("Not now."), **{"HX-Request": "true"})
    assert response is not None
    assert "Not now." in response.content.decode()
    assert "<html" not in response.content.decode()


def test_a_database_that_is_gone_is_told_without_asking_it() -> None:
    response = _answer(OperationalError("connection refused by 10.0.0.1"))
    assert response is not None
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    assert "try again" in response.content.decode()
    assert "10.0.0.1" not in response.content.decode()


def test_errors_of_the_api_and_unknown_errors_are_left_to_others() -> None:
    assert _answer(Conflict("Not now."), path="/api/v1/projects") is None
    assert _answer(KeyError("x")) is None


def test_a_bug_is_a_page_with_the_request_s_id_and_no_details() -> None:
    request = _request("/projects/")
    request.META["feedback.request_id"] = "abc123"
    response = server_error(request)
    assert response.status_code == 500
    assert "abc123" in response.content.decode()
    assert server_error(_request("/api/v1/projects")).headers["Content-Type"] == "application/json"


def test_the_content_policy_forbids_inline_code_on_error_pages_too(client: Client, db: None) -> None:
    policy = client.get("/nowhere/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
