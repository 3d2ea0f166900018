"""Work over all projects, which no single project may stop."""

import logging
from collections.abc import Callable

from celery.exceptions import SoftTimeLimitExceeded

from labeling.models import Project

logger = logging.getLogger(__name__)


def for_each_project(act: Callable[[Project], None], *, failing: str) -> None:
    """Do it with every project. One that fails is logged, as `failing` says, and the others go on.

    In random order, so that a project that takes all the time does not keep the same others waiting each time. Raises
    SoftTimeLimitExceeded: what was committed stays, and the next sweep goes on.
    """
    for project in Project.objects.order_by("?"):
        try:
            act(project)
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            logger.exception("project %s: %s", project.pk, failing)
