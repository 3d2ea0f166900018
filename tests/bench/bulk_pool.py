"""A scored pool of any size, made by SQL and COPY: what is measured with it is not how it came in."""

from typing import Final

import numpy as np
from django.db import connection

from labeling.models import ModelVersion, Project
from labeling.services import intake
from labeling.splitting import BUCKETS

CLASSES: Final = [f"class-{number}" for number in range(10)]

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
