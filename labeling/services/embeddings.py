"""Vectors of items that the app itself sends: one space a project, as wide as its first vector."""

from collections.abc import Mapping

from django.db import connection

from labeling.models import EmbeddingSpace, Project

_STORE = """
INSERT INTO labeling_embedding (item_id, project_id, space_id, vector)
SELECT item.id, item.project_id, %s, given.vector
FROM unnest(%s::text[], %s::bytea[]) AS given (key, vector)
JOIN labeling_item item ON item.project_id = %s AND item.key = given.key
ORDER BY item.id
ON CONFLICT (item_id) DO UPDATE SET space_id = EXCLUDED.space_id, vector = EXCLUDED.vector"""


def app_space(project: Project, *, width: int) -> EmbeddingSpace:
    """The space of the app's vectors; made with this width if there is none. Of two requests at once one makes it."""
    space, _ = EmbeddingSpace.objects.get_or_create(
        project=project, origin=EmbeddingSpace.Origin.APP, defaults={"width": width}
    )
    return space


def store(project: Project, space: EmbeddingSpace, vectors: Mapping[str, bytes]) -> None:
    """Give the items of these keys their vectors, float16 of the space's width, in place of any other."""
    with connection.cursor() as cursor:
        cursor.execute(_STORE, [space.pk, list(vectors), list(vectors.values()), project.pk])
