"""Vectors of a project's items: which are in use, and filling them in.

An app's own vectors always win. Otherwise an extractor is fitted to the payloads (sampling.features), kept as an artifact,
and asked about every item; fitted anew when the project has twice as many items as then.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from numpy.typing import NDArray

from datasets import selectors as datasets_selectors
from labeling import locks
from labeling import selectors as labeling_selectors
from labeling.locks import LockKind
from labeling.models import Embedding, EmbeddingSpace, Item, ModelVersion, Project
from sampling import features, hand_over, pretrained, selectors
from sampling.batch_rules.registry import RULES
from sampling.services import artifacts, policies

_ITEMS_PER_PIECE: Final = 500
GROWTH: Final = 2
"""An extractor is fitted anew when there are so many times the items it was fitted on."""

_UPSERT: Final = """
INSERT INTO labeling_embedding (item_id, project_id, space_id, vector)
SELECT item_id, %s, %s, vector FROM unnest(%s::bigint[], %s::bytea[]) AS given (item_id, vector)
ON CONFLICT (item_id) DO UPDATE SET space_id = EXCLUDED.space_id, vector = EXCLUDED.vector"""


def current_space(project: Project) -> EmbeddingSpace | None:
    """The space whose vectors are in use: the app's, else the newest."""
    spaces = EmbeddingSpace.objects.filter(project=project)
    return spaces.filter(origin=EmbeddingSpace.Origin.APP).first() or spaces.order_by("-id").first()


def build(project: Project, *, now: dt.datetime) -> EmbeddingSpace | None:
    """Give every item a vector: fit an extractor if there is none that is fresh, and ask it about items without one.

    Committed in pieces, so a killed worker loses one piece; run twice, the second time does nothing. Holds an advisory
    lock on the project: another worker at it makes this return what is there. None where payloads hold nothing that an
    extractor reads. ValueError where the extractor's artifact is gone and no other can be fitted.
    """
    with locks.held(LockKind.FEATURES, project.pk) as is_ours:
        space = current_space(project)
        if not is_ours or (space and space.origin == EmbeddingSpace.Origin.APP):
            return space
        if space is None or _wants_another(project, space):
            space = _fit(project, now=now) or space
        if space is not None:
            _fill(project, space)
        return space


def is_due(project: Project) -> bool:
    """Whether `build` is wanted and would find something to do."""
    if not is_wanted(project):
        return False
    space = current_space(project)
    if space is None:
        return True
    if space.origin == EmbeddingSpace.Origin.APP:
        return False
    return _missing(project, space).exists() or _wants_another(project, space)


def is_wanted(project: Project) -> bool:
    """Whether a refill would look at vectors: the batch rule or a surrogate does, or cold start does and is not over."""
    policy = policies.current_policy(project)
    if "embeddings" in RULES[policy.batch_rule].needs or selectors.wants_surrogate(project, policy):
        return True
    if "embeddings" not in RULES[policy.cold_start].needs:
        return False
    champion = labeling_selectors.champion(project)
    if champion is not None and champion.origin == ModelVersion.Origin.APP:
        return False
    said = hand_over.decide(
        datasets_selectors.class_counts(project),
        classes=max(len(labeling_selectors.parsed_schema(project).label_classes), 1),
        labels_per_class=policy.hand_over_labels_per_class,
        has_scores=champion is not None,
    )
    return not said.is_done


def vectors(space: EmbeddingSpace, item_ids: NDArray[np.int64]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """The vectors of these items (n, width), and which have one (n,); the others are 0."""
    found = np.zeros((len(item_ids), space.width), dtype=np.float16)
    is_known = np.zeros(len(item_ids), dtype=np.bool_)
    order = np.argsort(item_ids, kind="stable")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT item_id, vector FROM labeling_embedding WHERE space_id = %s AND item_id = ANY(%s)",
            [space.pk, item_ids.tolist()],
        )
        rows = [(item, vector) for item, vector in cursor.fetchall() if len(vector) == 2 * space.width]
    if rows:
        ids = np.array([item for item, _ in rows], dtype=np.int64)
        places = order[np.searchsorted(item_ids[order], ids)]
        found[places] = np.frombuffer(b"".join(bytes(vector) for _, vector in rows), dtype="<f2").reshape(len(ids), -1)
        is_known[places] = True
    return found, is_known


def _missing(project: Project, space: EmbeddingSpace) -> QuerySet[Item]:
    has_vector = Embedding.objects.filter(item=OuterRef("pk"), space=space)
    return Item.objects.filter(~Exists(has_vector), project=project)


def _wants_another(project: Project, space: EmbeddingSpace) -> bool:
    return _has_outgrown(project, space) or _is_of_another_kind(space) or _is_lost(project, space)


def _is_lost(project: Project, space: EmbeddingSpace) -> bool:
    """Whether there are items that its extractor should read, and it is gone."""
    return bool(space.artifact) and _missing(project, space).exists() and not artifacts.is_intact(space.artifact)


def _is_of_another_kind(space: EmbeddingSpace) -> bool:
    """Whether the setting about pretrained vectors was changed since."""
    origins = EmbeddingSpace.Origin
    return space.origin == (origins.TEXT if settings.PRETRAINED_EMBEDDINGS else origins.PRETRAINED)


def _has_outgrown(project: Project, space: EmbeddingSpace) -> bool:
    # At most so many rows are counted.
    if space.origin == EmbeddingSpace.Origin.PRETRAINED:
        return False  # nothing was fitted
    enough = GROWTH * max(space.fitted_items, 1)
    return enough <= features.FITTED_ON_AT_MOST * GROWTH and (
        Item.objects.filter(project=project).order_by()[:enough].count() >= enough
    )


def _fit(project: Project, *, now: dt.datetime) -> EmbeddingSpace | None:
    items = Item.objects.filter(project=project)
    # Buckets are random numbers, so the first ones are a random sample, and the same one every time.
    sample = list(items.order_by("bucket", "id").values_list("payload", flat=True)[: features.FITTED_ON_AT_MOST])
    kind = features.kind_of(sample)
    if kind is None:
        return None
    if kind == "text" and settings.PRETRAINED_EMBEDDINGS:
        return EmbeddingSpace.objects.create(
            project=project,
            origin=EmbeddingSpace.Origin.PRETRAINED,
            width=pretrained.WIDTH,
            fitted_items=len(sample),
            created_at=now,
        )
    try:
        extractor = features.fit(sample, kind=kind)
    except ValueError:
        return None  # nothing in the payloads tells items apart
    artifact = artifacts.store(extractor.dumps(), f"{project.pk}/features")
    return EmbeddingSpace.objects.create(
        project=project,
        origin=EmbeddingSpace.Origin(kind),
        width=extractor.width,
        artifact=artifact,
        fitted_items=len(sample),
        created_at=now,
    )


def _fill(project: Project, space: EmbeddingSpace) -> None:
    missing = _missing(project, space).order_by("pk")
    extractor: features.Extractor | None = None
    after = 0
    while rows := list(missing.filter(pk__gt=after).values_list("pk", "payload")[:_ITEMS_PER_PIECE]):
        after = rows[-1][0]
        payloads = [payload for _, payload in rows]
        if space.origin == EmbeddingSpace.Origin.PRETRAINED:
            found, _ = pretrained.transform(payloads)
        else:
            extractor = extractor or features.loads(artifacts.read(space.artifact))
            found, _ = extractor.transform(payloads)
        _write(project, space, [pk for pk, _ in rows], found)


@transaction.atomic
def _write(project: Project, space: EmbeddingSpace, item_ids: Sequence[int], found: NDArray[np.float16]) -> None:
    there = list(Item.objects.filter(pk__in=item_ids).order_by("pk").values_list("pk", flat=True))
    row_of = {item_id: row for row, item_id in enumerate(item_ids)}
    packed = [found[row_of[item_id]].astype("<f2").tobytes() for item_id in there]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [project.pk, space.pk, there, packed])
