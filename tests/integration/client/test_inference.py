"""A scikit-learn model whose predictions are logged as it makes them, down to the rows in the service."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from wsgiref.util import setup_testing_defaults

import numpy as np
import pytest
from feedback_client import Client, InvalidArgument, WSGIRequestIdMiddleware, logged, request_id_scope, watching
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from labeling.models import ApiKey, Item, ModelVersion, Prediction, Project
from labeling.services import api_keys, intake, projects
from tests.integration.client.conftest import UNHURRIED
from tests.integration.client.flaky_proxy import FlakyProxy

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

pytestmark = pytest.mark.django_db(transaction=True)

Row = dict[str, object]
DATA = load_digits()
ROWS: list[Row] = [
    {"id": f"digit-{place}", "features": DATA.data[place].tolist(), "who": f"user-{place % 3}"}
    for place in range(500, 520)
]


@pytest.fixture(scope="module")
def model() -> LogisticRegression:
    """Reads digits; its classes are in scikit-learn's order, d0 to d9."""
    names = np.array([f"d{label}" for label in DATA.target[:500]])
    return LogisticRegression(max_iter=2000).fit(DATA.data[:500] / 16, names)


@pytest.fixture
def digits(transactional_db: None) -> Project:
    """Knows the classes in the opposite order of scikit-learn's, which sorts."""
    classes = [f"d{digit}" for digit in reversed(range(10))]
    definition = {"classes": [{"key": key} for key in classes]}
    project = projects.create(slug="pets", name="Digits", definition=definition, by=None)
    intake.register_model_version(project, name="m1", classes=classes)
    return project


@pytest.fixture
def digits_client(digits: Project, proxy: FlakyProxy) -> Iterator[Client]:
    key = api_keys.create(digits, name="app", kind=ApiKey.Kind.SECRET, by=None).key
    with Client(proxy.url, digits.slug, key, strict=True, options=UNHURRIED) as client:
        yield client


def _features(rows: Sequence[Row]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([row["features"] for row in rows]) / 16


def _assert_stored(model: LogisticRegression, expected: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    version = ModelVersion.objects.get()
    order = [list(model.classes_).index(name) for name in version.classes]
    assert order == list(reversed(range(10)))
    for place, row in enumerate(ROWS):
        prediction = Prediction.objects.get(item__key=row["id"])
        stored = np.frombuffer(prediction.probabilities, "<f4")
        np.testing.assert_allclose(stored, expected[place][order], atol=1e-6)


def test_the_decorator_logs_what_the_function_returns(
    digits_client: Client, model: LogisticRegression, digits: Project
) -> None:
    @logged(
        digits_client,
        model_version="m1",
        keys="id",
        classes=model.classes_,
        payloads=lambda rows: [{"features": row["features"]} for row in rows],
        respondents="who",
        context={"page": "form"},
    )
    def score(rows: Sequence[Row]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """The app's own."""
        probabilities: np.ndarray[tuple[int, int], np.dtype[np.float64]] = model.predict_proba(_features(rows))
        return probabilities

    with request_id_scope("r-1"):
        returned = score(ROWS)
    assert score.__doc__ == "The app's own."
    np.testing.assert_array_equal(returned, model.predict_proba(_features(ROWS)))
    assert digits_client.flush(30.0)
    _assert_stored(model, returned)
    assert Item.objects.get(key="digit-500").payload == {"features": ROWS[0]["features"]}
    hashes = Prediction.objects.values_list("respondent_hash", flat=True)
    assert len(set(hashes)) == 3
    context = Prediction.objects.get(item__key="digit-500").context
    assert context.pop("latency_ms") > 0
    assert context == {"request_id": "r-1", "rows_in_call": 20, "page": "form"}


def test_the_watched_estimator_names_its_classes_itself(digits_client: Client, model: LogisticRegression) -> None:
    payloads = [{"features": row["features"]} for row in ROWS]
    keys = [str(row["id"]) for row in ROWS]
    with watching(digits_client, model, model_version="m1", keys=keys, payloads=payloads, respondent="u") as watched:
        probabilities = watched.predict_proba(_features(ROWS))
        assert watched.classes_ is model.classes_
    assert isinstance(probabilities, np.ndarray)
    assert digits_client.flush(30.0)
    _assert_stored(model, probabilities)
    assert Prediction.objects.exclude(respondent_hash="").count() == len(ROWS)


def test_a_column_may_be_that_of_a_table(digits_client: Client, model: LogisticRegression) -> None:
    @logged(
        digits_client, model_version="m1", keys="id", classes=model.classes_, payloads=lambda _: [{"a": 1}, {"a": 2}]
    )
    def score(columns: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]) -> object:
        return model.predict_proba(columns["features"] / 16)

    score({"id": np.array([1, 2]), "features": DATA.data[:2]})
    assert digits_client.flush(30.0)
    assert set(Item.objects.values_list("key", flat=True)) == {"1", "2"}


def test_an_exception_of_the_model_passes_and_nothing_is_logged(
    digits_client: Client, model: LogisticRegression
) -> None:
    with (
        pytest.raises(ValueError, match="features"),
        watching(digits_client, model, model_version="m1", keys=["a"]) as watched,
    ):
        watched.predict_proba(np.ones((1, 3)))
    assert digits_client.stats.accepted == 0


@pytest.mark.parametrize(
    "keys",
    [["only one"], "no_such_column", lambda rows: None, lambda rows: [1 / 0]],
    ids=["few", "column", "none", "fails"],
)
def test_keys_that_do_not_fit_are_the_client_s_trouble_not_the_app_s(keys: object, model: LogisticRegression) -> None:
    client = Client("http://127.0.0.1:9", "pets", "k", enabled=False)
    scored = logged(client, model_version="m1", keys=keys)(lambda rows: model.predict_proba(_features(rows)))  # type: ignore[arg-type]  # wrong on purpose
    assert scored(ROWS).shape == (20, 10)
    assert (client.stats.accepted, client.stats.invalid) == (0, 1)
    strict = Client("http://127.0.0.1:9", "pets", "k", enabled=False, strict=True)
    with pytest.raises((InvalidArgument, KeyError, ZeroDivisionError)):
        logged(strict, model_version="m1", keys=keys)(lambda rows: model.predict_proba(_features(rows)))(ROWS)  # type: ignore[arg-type]  # wrong on purpose


def test_what_a_web_request_predicts_and_what_its_user_says_carry_one_id(
    digits_client: Client, model: LogisticRegression
) -> None:
    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with watching(digits_client, model, model_version="m1", keys=["a"], payloads=[{"a": 1}]) as watched:
            watched.predict_proba(DATA.data[:1] / 16)
        start_response("200 OK", [])
        return [b""]

    environ: dict[str, str] = {"HTTP_X_REQUEST_ID": "r-7"}
    setup_testing_defaults(environ)
    body = WSGIRequestIdMiddleware(app)(environ, lambda *_: lambda data: None)
    body.close()  # type: ignore[attr-defined]  # as a server does
    assert digits_client.flush(30.0)
    assert Prediction.objects.get().context["request_id"] == "r-7"
