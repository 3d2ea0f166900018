"""Note items of which more or less is known than when they were last believed."""

from collections.abc import Iterable

from datasets.models import AcceptancePolicy, PendingItem
from labeling import news
from labeling.models import Project


def note_items(project: Project, item_ids: Iterable[int]) -> None:
    """Have the beliefs about these items worked out anew; call it in the transaction that changed what is known.

    Where the project goes by votes there is no belief, but reviewers' decisions count there too, so it is told alike.
    """
    PendingItem.objects.bulk_create(PendingItem(project=project, item_id=pk) for pk in sorted(set(item_ids)))
    news.tell(news.annotation_recorded, project_id=project.pk)


def goes_by_label_model(project: Project) -> bool:
    """Whether the policy in force is the label model."""
    newest = (
        AcceptancePolicy.objects.filter(project=project).order_by("-version").values_list("method", flat=True).first()
    )
    return newest == AcceptancePolicy.Method.LABEL_MODEL
