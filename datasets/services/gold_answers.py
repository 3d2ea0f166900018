"""Respondents' answers about items whose true answer is known: they tell about the respondent, and nothing about the item.

In projects by the label model a fit reads them with all other evidence (`beliefs`), where gold is the truth. By votes nothing else
judges respondents, so their record is kept here. See docs/algorithms/ask_policy.md.
"""

from typing import Final

from django.db import connection

from datasets.models import GoldItem
from datasets.services import beliefs
from labeling.models import Project

MOST_KEYS: Final = 10_000
"""So many gold items, the newest, check respondents."""

# Answers in the form of another label schema are neither right nor wrong.
_RECORDS: Final = """
UPDATE labeling_respondent respondent SET right_count = said.hits, wrong_count = said.misses
FROM (
    SELECT correction.respondent_hash, count(*) FILTER (WHERE correction.answer = gold.answer) AS hits,
        count(*) FILTER (WHERE correction.answer <> gold.answer) AS misses
    FROM datasets_golditem gold
        JOIN labeling_correction correction ON correction.item_id = gold.item_id
            AND correction.label_schema_id = gold.label_schema_id
    WHERE gold.project_id = %(project)s AND correction.superseded_at IS NULL AND correction.respondent_hash <> ''
    GROUP BY correction.respondent_hash
) said
WHERE respondent.project_id = %(project)s AND respondent.respondent_hash = said.respondent_hash
    AND (respondent.right_count, respondent.wrong_count) IS DISTINCT FROM (said.hits, said.misses)"""


def keys(project: Project) -> frozenset[str]:
    """The keys of the gold items in use, at most MOST_KEYS; one statement."""
    gold = GoldItem.objects.filter(project=project, is_active=True).order_by("-pk")
    return frozenset(gold.values_list("item__key", flat=True)[:MOST_KEYS])


def store_records(project: Project) -> int:
    """By votes, bring respondents' records up to date with what they said of gold; how many changed. Safe to run twice."""
    if beliefs.setting_of(project) is not None:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_RECORDS, {"project": project.pk})
        return int(cursor.rowcount)
