"""Model versions over HTTP; what a version may be is tested with the service."""

from django.contrib.auth.models import User
from rest_framework.test import APIClient

from labeling.models import ModelVersion, Project

URL = "/api/v1/projects/pets/model-versions"


def test_an_app_registers_its_model_and_the_first_is_the_champion(app_client: APIClient) -> None:
    first = app_client.post(URL, {"name": "m1", "description": "what runs now"}, format="json")
    assert first.status_code == 201
    assert (first.json()["stage"], first.json()["origin"]) == ("champion", "app")
    assert first.json()["classes"] == ["cat", "dog", "bird"]
    second = app_client.post(URL, {"name": "m2", "classes": ["dog", "cat"]}, format="json")
    assert (second.json()["stage"], second.json()["classes"]) == ("candidate", ["dog", "cat"])
    assert [version["name"] for version in app_client.get(URL).json()["results"]] == ["m2", "m1"]


def test_a_version_that_cannot_be_is_refused(app_client: APIClient) -> None:
    app_client.post(URL, {"name": "m1"}, format="json")
    for body, status, code in (
        ({"name": "m1"}, 409, "model_version_exists"),
        ({"name": "m2", "classes": ["fish"]}, 400, "unknown_class"),
        ({"name": "m2", "classes": []}, 400, "invalid_classes"),
        ({"name": "m2", "classes": "cat"}, 400, "invalid_input"),
        ({"classes": ["cat"]}, 400, "invalid_input"),
    ):
        answer = app_client.post(URL, body, format="json")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ModelVersion.objects.count() == 1


def test_annotators_and_strangers_register_nothing(
    api_client: APIClient, annotator_client: APIClient, stranger: User, project: Project
) -> None:
    assert annotator_client.post(URL, {"name": "m1"}, format="json").status_code == 403
    assert annotator_client.get(URL).status_code == 403
    api_client.force_login(stranger)
    assert api_client.post(URL, {"name": "m1"}, format="json").status_code == 404
    assert not ModelVersion.objects.exists()
