"""A project on real data, small enough for a test: handwritten digits, and a first model that saw few of them."""

import datetime as dt

import numpy as np
from django.contrib.auth.models import User
from sklearn.datasets import load_digits

from labeling.models import Item, ModelVersion, Project
from labeling.services import intake, projects
from training.trainers import registry

FIRST_MODEL = "digits-first"
_SEED = 5
_EXAMPLES_PER_CLASS = 3


def project(owner: User, *, items: int = 300, slug: str = "digits") -> Project:
    """Classes 0 to 9, the given number of items with predictions of a champion that learned from three a class.

    The true class stands in the item's key, as in digits-0123-7.
    """
    made = projects.create(
        slug=slug,
        name="Handwritten digits",
        objective="Read the digits on paper forms.",
        definition={
            "classes": [{"key": str(digit)} for digit in range(10)],
            "guidelines": "Judge the shape as a whole.\nA seven may have a bar.",
        },
        by=owner,
    )
    projects.describe(made, blind_share=0.0)
    data = load_digits()
    rows = np.random.default_rng(_SEED).permutation(len(data.target))
    seen = np.concatenate([rows[data.target[rows] == digit][:_EXAMPLES_PER_CLASS] for digit in range(10)])
    pool = np.setdiff1d(rows, seen)[:items]
    payloads = {row: _payload(data.images[row]) for row in (*seen, *pool)}
    intake.record_items(
        made, ({"key": f"digits-{row:04d}-{data.target[row]}", "payload": payloads[row]} for row in pool)
    )

    model = registry.TRAINERS["numeric"].fit(
        [payloads[row] for row in seen], [str(data.target[row]) for row in seen], seed=_SEED
    )
    version = intake.register_model_version(made, name=FIRST_MODEL, classes=model.classes)
    stored = dict(Item.objects.filter(project=made).values_list("key", "pk"))
    intake.record_prediction_arrays(
        version,
        item_ids=np.array([stored[f"digits-{row:04d}-{data.target[row]}"] for row in pool], dtype=np.int64),
        probabilities=model.predict_proba([payloads[row] for row in pool]),
    )
    _put_into_pool(made, version)
    return made


def truth(key: str) -> str:
    return key.rsplit("-", 1)[1]


def _payload(image: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> dict[str, object]:
    return {"pixels": image.astype(int).tolist(), "pixel_max": 16, "features": image.astype(int).ravel().tolist()}


def _put_into_pool(project: Project, version: ModelVersion) -> None:
    intake.refresh_pool(project, version, now=dt.datetime.now(dt.UTC))
