"""What the counters of the queue must say, counted anew from the rows they summarise."""

import datetime as dt
from collections import Counter

from django.db.models import Count, F, Q
from django.utils import timezone

from labeling.models import Annotation, AnnotationTask, AnnotatorDay, PoolEntry, Project


def disagreements(project: Project) -> list[str]:
    """Every counter or state of the project that a recount contradicts; empty when all is well."""
    found: list[str] = []
    standing = Count("annotations", filter=Q(annotations__withdrawn_at__isnull=True))
    tasks = AnnotationTask.objects.filter(project=project).annotate(standing=standing)
    for task in tasks.exclude(answers_count=F("standing")):
        found.append(f"task {task.pk} counts {task.answers_count} answers, {task.standing} stand")
    for task in tasks.filter(state="open", standing__gte=F("answers_wanted")):
        found.append(f"task {task.pk} has its {task.standing} answers and is open")
    for task in tasks.filter(state="answered", standing__lt=F("answers_wanted")):
        found.append(f"task {task.pk} is closed with {task.standing} of {task.answers_wanted} answers")
    annotations = Annotation.objects.filter(item__project=project, withdrawn_at__isnull=True)
    twice = annotations.values("item", "annotator").annotate(count=Count("pk")).filter(count__gt=1)
    found += [f"annotator {row['annotator']} answered item {row['item']} {row['count']} times" for row in twice]
    days: Counter[tuple[int, dt.date]] = Counter()
    for annotator_id, created_at in annotations.values_list("annotator_id", "created_at"):
        days[annotator_id, timezone.localdate(created_at)] += 1
    noted = AnnotatorDay.objects.filter(project=project, answered__gt=0)
    said = {
        (annotator_id, day): count for annotator_id, day, count in noted.values_list("annotator_id", "day", "answered")
    }
    found += [f"days: {key} is {said.get(key)} and should be {days.get(key)}" for key in said.keys() ^ days.keys()]
    found += [
        f"day {key} says {said[key]}, {days[key]} stand" for key in said.keys() & days.keys() if said[key] != days[key]
    ]
    open_items = set(tasks.filter(state="open").values_list("item_id", flat=True))
    queued = PoolEntry.objects.filter(project=project, state=PoolEntry.State.QUEUED)
    for item_id in open_items ^ set(queued.values_list("item_id", flat=True)):
        found.append(f"item {item_id} is queued without an open task, or has one without being queued")
    return found
