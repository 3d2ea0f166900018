"""Reading the pool: what PostgreSQL sends is what was stored, block by block."""

import numpy as np
import pytest
from django.db import connection
from numpy.typing import NDArray
from psycopg.sql import SQL

from labeling.models import Item, ModelVersion, PoolEntry, Project
from labeling.probability import pack
from labeling.services import intake
from sampling.services import pool
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db


def read(project: Project, version: ModelVersion | None) -> dict[int, tuple[bool, list[float]]]:
    rows = pool.available(project.pk)
    return {
        int(item_id): (bool(in_reserve), row.tolist())
        for block in pool.blocks(rows, pool.probabilities(version, rows) if version else None)
        for item_id, in_reserve, row in zip(block.item_ids, block.in_reserve, block.values, strict=True)
    }


def rows(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.ones(3), count)


def entry(item: Item) -> PoolEntry:
    return PoolEntry.objects.get(item=item)


@pytest.mark.parametrize("bytes_per_block", [1, 100, 4 << 20])
def test_every_available_item_comes_once_with_its_scores(
    project: Project, monkeypatch: pytest.MonkeyPatch, bytes_per_block: int
) -> None:
    monkeypatch.setattr(pool, "_BYTES_PER_BLOCK", bytes_per_block)
    items = make.scored_pool(project, 50, buckets=[number * 200 for number in range(50)])
    version = ModelVersion.objects.get()

    found = read(project, version)

    assert set(found) == {item.pk for item in items}
    for item in items:
        stored = np.frombuffer(bytes(entry(item).probabilities or b""), dtype="<f4")
        assert found[item.pk] == (item.bucket < 1000, stored.tolist())


def test_items_that_are_not_available_are_left_out(project: Project) -> None:
    items = make.scored_pool(project, 4)
    for item, state in zip(items, PoolEntry.State, strict=True):
        PoolEntry.objects.filter(item=item).update(state=state)
    assert list(read(project, ModelVersion.objects.get())) == [items[0].pk]


def test_what_the_version_did_not_score_comes_as_nan(project: Project) -> None:
    """Never scored, scored by another version, or stored in another width."""
    items = make.pool(project, 4)
    version = make.champion(project)
    make.scores(version, items[1:], rows(3))
    other = intake.register_model_version(project, name="other", classes=make.CLASSES)
    PoolEntry.objects.filter(item=items[2]).update(model_version=other)
    PoolEntry.objects.filter(item=items[3]).update(probabilities=pack(np.array([0.5, 0.5])))

    found = read(project, version)

    assert [bool(np.isnan(found[item.pk][1]).all()) for item in items] == [True, False, True, True]


def test_without_a_version_there_are_items_but_no_scores(project: Project) -> None:
    items = make.pool(project, 3, buckets=[0, 999, 1000])
    found = read(project, None)
    assert [found[item.pk] for item in items] == [(True, []), (True, []), (False, [])]


def test_an_empty_pool_gives_no_items(project: Project) -> None:
    assert read(project, None) == {}
    assert read(project, make.champion(project)) == {}


def test_no_item_of_another_project_comes_along(project: Project, stranger: object) -> None:
    make.pool(Project.objects.get(slug="other"), 3)
    (item,) = make.pool(project, 1)
    assert set(read(project, None)) == {item.pk}


def test_wide_rows_that_the_database_stores_apart_are_read_as_well(project: Project) -> None:
    """A thousand classes: 4,000 bytes a row, which PostgreSQL compresses or moves out of line."""
    classes = [f"class-{number}" for number in range(1000)]
    (item,) = make.pool(project, 1)
    version = ModelVersion.objects.create(project=project, name="wide", classes=classes, stage="champion")
    row = np.random.default_rng(0).dirichlet(np.ones(1000)).astype(np.float32)
    PoolEntry.objects.update(model_version=version, probabilities=pack(row), scored_at=make.NOW)
    assert read(project, version) == {item.pk: (False, row.tolist())}


def test_a_record_of_another_form_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard against a column that changes its type under the reader."""
    make.scored_pool(project, 3)
    narrow = pool._POOL.as_string().replace("SELECT p.item_id, p.bucket", "SELECT p.item_id::int, p.bucket::int")
    monkeypatch.setattr(pool, "_POOL", SQL(narrow))
    with pytest.raises(ValueError, match="record"):
        read(project, ModelVersion.objects.get())


def test_the_connection_is_usable_after_reading_stopped_half_way(project: Project) -> None:
    make.scored_pool(project, 10)
    rows = pool.available(project.pk)
    blocks = pool.blocks(rows, pool.probabilities(ModelVersion.objects.get(), rows))
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]  # an Iterator to its callers, a generator in fact
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
