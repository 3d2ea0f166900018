"""A scored pool of any size, made by SQL and COPY: what is measured with it is not how it came in."""

from typing import Final

import numpy as np
from django.db import connection

from labeling.models import EmbeddingSpace, Item, ModelVersion, Project
from labeling.services import intake
from labeling.splitting import BUCKETS

CLASSES: Final = [f"class-{number}" for number in range(10)]

_ITEMS_A_PIECE: Final = 20_000
_RECORD: Final = np.dtype(
    [
        *[("columns", ">i2"), ("number_bytes", ">i4"), ("number", ">i4")],
        *[("probabilities_bytes", ">i4"), ("probabilities", "<f4", (len(CLASSES),))],
    ]
)


def fill(project: Project, size: int, *, seed: int = 0) -> ModelVersion:
    """Give the project `size` items with predictions by its champion, which is made."""
    version = intake.register_model_version(project, name="champion", classes=CLASSES)
    rows = np.empty(size, dtype=_RECORD)
    rows["columns"], rows["number_bytes"], rows["probabilities_bytes"] = 2, 4, 4 * len(CLASSES)
    rows["number"] = np.arange(size)
    rows["probabilities"] = np.random.default_rng(seed).dirichlet(np.full(len(CLASSES), 0.5), size)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO labeling_item (project_id, key, payload, segments, bucket, created_at, updated_at)
               SELECT %s, 'item-' || n, '{"text": "some words of an item"}', '{}', n::bigint * 7919 %% %s, now(), now()
               FROM generate_series(0, %s) n""",
            [project.pk, BUCKETS, size - 1],
        )
        cursor.execute("CREATE TEMPORARY TABLE scored (number int, probabilities bytea)")
        with cursor.copy("COPY scored FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff")
        cursor.execute(
            """INSERT INTO labeling_poolentry
                   (item_id, project_id, state, bucket, model_version_id, probabilities, scored_at)
               SELECT item.id, item.project_id, 0, item.bucket, %s, scored.probabilities, now()
               FROM scored JOIN labeling_item item
                   ON item.project_id = %s AND item.key = 'item-' || scored.number
               ORDER BY scored.number""",
            [version.pk, project.pk],
        )
        # One prediction is enough to say that this champion predicts; the pool holds what refills read.
        cursor.execute(
            """INSERT INTO labeling_prediction (item_id, model_version_id, probabilities, predicted_class, confidence,
                   respondent_hash, context, created_at)
               SELECT item_id, model_version_id, probabilities, %s, 0.5, '', '{}', now()
               FROM labeling_poolentry WHERE project_id = %s ORDER BY item_id LIMIT 1""",
            [CLASSES[0], project.pk],
        )
        cursor.execute("DROP TABLE scored")
        cursor.execute("VACUUM ANALYZE labeling_item, labeling_poolentry")
    return version


def fill_vectors(project: Project, width: int, *, seed: int = 0) -> EmbeddingSpace:
    """Give every item of the project a random vector of float16, as an app would."""
    space = EmbeddingSpace.objects.create(project=project, origin=EmbeddingSpace.Origin.APP, width=width)
    record = np.dtype(
        [
            *[("columns", ">i2"), ("item_bytes", ">i4"), ("item", ">i8"), ("project_bytes", ">i4"), ("project", ">i8")],
            *[("space_bytes", ">i4"), ("space", ">i8"), ("vector_bytes", ">i4"), ("vector", "<f2", (width,))],
        ]
    )
    ids = np.array(Item.objects.filter(project=project).order_by("pk").values_list("pk", flat=True), dtype=np.int64)
    rng = np.random.default_rng(seed)
    columns = "(item_id, project_id, space_id, vector)"
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY labeling_embedding {columns} FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for begin in range(0, len(ids), _ITEMS_A_PIECE):
                some = ids[begin : begin + _ITEMS_A_PIECE]
                rows = np.empty(len(some), dtype=record)
                rows["columns"], rows["vector_bytes"] = 4, 2 * width
                rows["item_bytes"] = rows["project_bytes"] = rows["space_bytes"] = 8
                rows["item"], rows["project"], rows["space"] = some, project.pk, space.pk
                rows["vector"] = rng.standard_normal((len(some), width), dtype=np.float32)
                copy.write(rows.tobytes())
            copy.write(b"\xff\xff")
        cursor.execute("VACUUM ANALYZE labeling_embedding")
    return space
