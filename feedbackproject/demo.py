"""Two demo projects on real data that comes inside scikit-learn; nothing is downloaded.

People, projects and keys are made through the services. Items, the first model and its predictions go the way an
app sends them: over HTTP, with an API key. Loading again adds only what is missing.
"""

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from sklearn.datasets import load_breast_cancer, load_digits

from feedbackproject import demo_reader, known_labels
from labeling.models import ApiKey, Item, Membership, PoolEntry, Prediction, Project
from labeling.services import api_keys, projects
from labeling.splitting import bucket_of, is_in_audit_reserve
from training.trainers import registry

EXAMPLES_PER_CLASS = 3
SEED = 7


@dataclass(frozen=True)
class Login:
    username: str
    password: str
    role: str


@dataclass(frozen=True)
class DemoProject:
    slug: str
    name: str
    objective: str
    definition: dict[str, object]
    model_name: str
    payloads: Sequence[dict[str, Any]]
    labels: Sequence[str]
    """True classes, in the order of the payloads; they train the first model and drive simulations."""

    @property
    def keys(self) -> list[str]:
        return [f"{self.slug}-{index:04d}" for index in range(len(self.payloads))]


def digits() -> DemoProject:
    data = load_digits()
    payloads = [
        {"pixels": image.astype(int).tolist(), "pixel_max": 16, "features": image.astype(int).ravel().tolist()}
        for image in data.images
    ]
    return DemoProject(
        slug="digits",
        name="Handwritten digits",
        objective="Read the digits on paper forms. A wrong digit sends a form to the wrong person.",
        definition={
            "classes": [{"key": str(digit), "title": str(digit)} for digit in range(10)],
            "guidelines": "Which digit was meant? Judge the shape as a whole.\n"
            "A seven may have a bar, a one may have a foot. Skip what you cannot read.",
        },
        model_name="digits-first",
        payloads=payloads,
        labels=[str(target) for target in data.target],
    )


def breast_cancer() -> DemoProject:
    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names]
    payloads = [{"features": [float(value) for value in row], "feature_names": names} for row in data.data]
    return DemoProject(
        slug="cells",
        name="Breast cancer cells",
        objective="Tell malignant from benign tissue by measurements of cell nuclei.",
        definition={
            "classes": [
                {"key": "malignant", "title": "Malignant", "description": "Cancerous growth"},
                {"key": "benign", "title": "Benign", "description": "Harmless growth"},
            ],
            "guidelines": "The values are measured on an image of a fine needle aspirate.\n"
            "Large, irregular nuclei (radius, area, concave points) speak for malignant.",
        },
        model_name="cells-first",
        payloads=payloads,
        labels=[str(data.target_names[target]) for target in data.target],
    )


def demo_projects() -> tuple[DemoProject, ...]:
    return digits(), breast_cancer()


class DemoError(Exception):
    """The service did not take the demo data; the message says what it answered."""


@dataclass(frozen=True)
class Api:
    """The few calls an app needs."""

    url: str
    key: str

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  the address comes from the command line of the same machine
            f"{self.url}/api/v1/{path}",
            data=body,
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310  as above
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise DemoError(f"POST {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from error
        return answer

    def post_rows(self, path: str, rows: Iterator[dict[str, Any]]) -> None:
        body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        answer = self.post(path, body, "application/x-ndjson")
        if answer["failed"]:
            raise DemoError(f"POST {path}: {answer['failed']} rows were refused, e.g. {answer['results'][:1]}")


def logins() -> tuple[Login, ...]:
    """The demo's people. Their passwords are made once and kept under var/, so that a restart prints the same."""
    path: Path = settings.VAR_DIR / "demo_logins.json"
    if not path.exists():
        made = [Login("demo", secrets.token_urlsafe(9), "owner"), Login("ann", secrets.token_urlsafe(9), "annotator")]
        path.touch(mode=0o600)
        path.write_text(json.dumps([vars(login) for login in made]))
    return tuple(Login(**row) for row in json.loads(path.read_text()))


def _person(login: Login) -> User:
    user, is_new = User.objects.get_or_create(username=login.username)
    if is_new or not user.check_password(login.password):
        user.set_password(login.password)
    user.is_staff = user.is_superuser = login.role == "owner"
    user.save()
    return user


def _ensure_project(demo: DemoProject, owner: User, annotator: User) -> Project:
    project = Project.objects.filter(slug=demo.slug).first()
    if project is None:
        project = projects.create(
            slug=demo.slug, name=demo.name, objective=demo.objective, definition=demo.definition, by=owner
        )
        projects.set_member(project, username=annotator.username, role=Membership.Role.ANNOTATOR, by=owner)
    return project


def is_complete(demo: DemoProject) -> bool:
    expected = len(demo.payloads)
    project = Project.objects.filter(slug=demo.slug).first()
    return (
        project is not None
        and Item.objects.filter(project=project).count() >= expected
        and Prediction.objects.filter(model_version__project=project).count() >= expected
    )


def first_examples(demo: DemoProject, project: Project) -> list[int]:
    """Rows the app's own first model was trained on: a few of each class, none from the audit reserve."""
    rng = np.random.default_rng(SEED)
    is_free = np.array([not is_in_audit_reserve(bucket_of(project.pk, key)) for key in demo.keys])
    labels = np.asarray(demo.labels)
    chosen = [
        rng.choice(np.flatnonzero((labels == label) & is_free), EXAMPLES_PER_CLASS, replace=False)
        for label in np.unique(labels)
    ]
    return sorted(np.concatenate(chosen).tolist())


def _record_first_labels(demo: DemoProject, project: Project, rows: Sequence[int], owner: User) -> None:
    """The team brings the labels along that its first model learned from."""
    ids = dict(
        Item.objects.filter(project=project, pool_entry__state=PoolEntry.State.AVAILABLE).values_list("key", "pk")
    )
    classes = {ids[demo.keys[row]]: demo.labels[row] for row in rows if demo.keys[row] in ids}
    known_labels.record(project, classes, annotator=owner)


def load(demo: DemoProject, *, url: str, owner: User, annotator: User) -> bool:
    """Bring the demo project into the service; return False if it was all there."""
    if is_complete(demo):
        return False
    project = _ensure_project(demo, owner, annotator)
    # A queue that is filled before the model has spoken would be drawn twice.
    projects.pause_queue(project, now=timezone.now())
    made = api_keys.create(project, name="demo app", kind=ApiKey.Kind.SECRET, by=owner)
    api = Api(url, made.key)
    try:
        items = ({"key": key, "payload": payload} for key, payload in zip(demo.keys, demo.payloads, strict=True))
        api.post_rows(f"projects/{demo.slug}/items?results=errors", items)
        rows = first_examples(demo, project)
        payloads = [demo.payloads[row] for row in rows]
        model = registry.choose(payloads).fit(payloads, [demo.labels[row] for row in rows], seed=SEED)
        if not project.model_versions.filter(name=demo.model_name).exists():
            version = {
                "name": demo.model_name,
                "classes": list(model.classes),
                "description": f"The app's first model, trained on {EXAMPLES_PER_CLASS} examples a class.",
            }
            api.post(f"projects/{demo.slug}/model-versions", json.dumps(version).encode())
        probabilities = model.predict_proba(demo.payloads)
        predictions = (
            {"key": key, "model_version": demo.model_name, "probabilities": line.tolist()}
            for key, line in zip(demo.keys, probabilities, strict=True)
        )
        api.post_rows(f"projects/{demo.slug}/predictions?results=errors", predictions)
        projects.resume_queue(project)
        _record_first_labels(demo, project, rows, owner)
        api.post(f"projects/{demo.slug}/refills", b"{}")
    finally:
        projects.resume_queue(project)
        api_keys.revoke(made.api_key, now=timezone.now())
    return True


def load_all(*, url: str) -> tuple[Login, ...]:
    """Load both projects through the service at `url`; return the logins to print."""
    people = logins()
    owner, annotator = (_person(login) for login in people)
    for demo in demo_projects():
        load(demo, url=url.rstrip("/"), owner=owner, annotator=annotator)
    demo_reader.ensure(Project.objects.get(slug=digits().slug), url=url.rstrip("/"), by=owner)
    return people


def wait_for(url: str, *, seconds: float) -> None:
    """Return once the service answers, or raise DemoError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/login/", timeout=5).close()  # noqa: S310  as above
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise DemoError(f"{url} did not answer within {seconds:.0f} seconds")
