"""Respondents' answers about items whose true answer is known: they tell about the respondent, and nothing about the item.

In projects by the label model a fit reads them with all other evidence (`beliefs`), where gold is the truth. By votes nothing else
judges respondents, so their record is kept here. See docs/algorithms/ask_policy.md.
"""

from typing import Final

from django.db import connection

from datasets.models import GoldItem
from datasets.services import beliefs
from labeling.models import Feedback, Project

MOST_KEYS: Final = 10_000
"""So many gold items, the newest, check respondents."""

# Answers in the form of another label schema are neither right nor wrong. Who says that the model is wrong and nothing else
# is right where it is wrong; what was randomised tells nothing of them. Of an ask a correction tells more than its thumb.
_RECORDS: Final = """
UPDATE labeling_respondent respondent SET right_count = told.hits, wrong_count = told.misses
FROM (
    SELECT said.respondent_hash, count(*) FILTER (WHERE said.is_right) AS hits,
        count(*) FILTER (WHERE NOT said.is_right) AS misses
    FROM (
        SELECT correction.respondent_hash, correction.answer = gold.answer AS is_right
        FROM datasets_golditem gold
            JOIN labeling_correction correction ON correction.item_id = gold.item_id
                AND correction.label_schema_id = gold.label_schema_id
        WHERE gold.project_id = %(project)s AND correction.superseded_at IS NULL AND correction.respondent_hash <> ''
        UNION ALL
        SELECT thumb.respondent_hash, (thumb.score > 0.5) = (ask.predicted_answer = gold.answer)
        FROM datasets_golditem gold
            JOIN labeling_feedback thumb ON thumb.item_id = gold.item_id AND thumb.kind = 'thumb'
                AND starts_with(thumb.client_id, %(answers)s)
            JOIN labeling_ask ask ON ask.id = thumb.ask_id
            JOIN labeling_questionversion version ON version.id = ask.question_version_id AND version.kind = 'correction'
        WHERE gold.project_id = %(project)s AND thumb.superseded_at IS NULL AND thumb.respondent_hash <> ''
            AND thumb.epsilon IS NULL AND ask.predicted_answer IS NOT NULL
            AND gold.label_schema_id = (
                SELECT id FROM labeling_labelschema WHERE project_id = gold.project_id AND created_at <= ask.created_at
                ORDER BY version DESC LIMIT 1
            )
            AND NOT EXISTS (SELECT FROM labeling_correction WHERE ask_id = ask.id AND superseded_at IS NULL)
    ) said
    GROUP BY said.respondent_hash
) told
WHERE respondent.project_id = %(project)s AND respondent.respondent_hash = told.respondent_hash
    AND (respondent.right_count, respondent.wrong_count) IS DISTINCT FROM (told.hits, told.misses)"""


def keys(project: Project) -> frozenset[str]:
    """The keys of the gold items in use, at most MOST_KEYS; one statement."""
    gold = GoldItem.objects.filter(project=project, is_active=True).order_by("-pk")
    return frozenset(gold.values_list("item__key", flat=True)[:MOST_KEYS])


def store_records(project: Project) -> int:
    """By votes, bring respondents' records up to date with what they said of gold; how many changed. Safe to run twice."""
    if beliefs.setting_of(project) is not None:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_RECORDS, {"project": project.pk, "answers": Feedback.ANSWERS})
        return int(cursor.rowcount)
