"""Questions as they are read: the list of a project, and versions in the form that knows their answers."""

from dataclasses import dataclass
from functools import lru_cache

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery

from labeling import questions
from labeling.models import Project, Question, QuestionVersion


@dataclass(frozen=True)
class KnownVersion:
    """A version of a question, parsed. Versions are append-only, so what was read once stays true."""

    id: int
    project_id: int
    question_id: int
    key: str
    version: int
    question: questions.Question
    epsilon: float | None

    @property
    def is_private(self) -> bool:
        return self.epsilon is not None


@lru_cache(maxsize=1024)
def known_version(question_version_id: int) -> KnownVersion:
    """Raises QuestionVersion.DoesNotExist."""
    return known(QuestionVersion.objects.select_related("question").get(pk=question_version_id))


def known(version: QuestionVersion) -> KnownVersion:
    """The stored row in the form that knows its answers; the row comes with its question."""
    return KnownVersion(
        version.pk,
        version.question.project_id,
        version.question_id,
        version.question.key,
        version.version,
        questions.parse_question(version.kind, version.definition),
        version.epsilon,
    )


def listing(project: Project) -> QuerySet[Question]:
    """The project's questions by key, each with its newest version alone in `versions`: two queries."""
    newest = QuestionVersion.objects.filter(question=OuterRef("question")).order_by("-version").values("pk")[:1]
    versions = QuestionVersion.objects.filter(pk=Subquery(newest))
    return Question.objects.filter(project=project).prefetch_related(Prefetch("versions", queryset=versions))


def newest_version(question: Question) -> QuestionVersion:
    """Every question has a version from its creation on."""
    return QuestionVersion.objects.filter(question=question).select_related("question").latest("version")
