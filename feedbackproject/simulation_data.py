"""What can be simulated: a demo project that is loaded already, or a CSV file, which becomes a project."""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.utils.text import slugify

from feedbackproject import demo
from feedbackproject.simulation import Example, SimulationError
from labeling.models import Item, Project
from labeling.services import intake, projects
from sampling.services import policies


@dataclass(frozen=True)
class Subject:
    """A project, the true classes of its items, and rows outside of it to measure on, if there are any."""

    project: Project
    examples: Sequence[Example]
    test: Sequence[Example] | None


def read_csv(path: Path) -> list[Example]:
    """Rows of a CSV file (gzipped or not) with the columns `text` and `label`; other columns are ignored."""
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            reader = csv.DictReader(file)
            if not {"text", "label"} <= set(reader.fieldnames or ()):
                raise SimulationError(f"{path} needs the columns text and label")
            rows = [Example(f"{number:06d}", {"text": row["text"]}, row["label"]) for number, row in enumerate(reader)]
    except (OSError, UnicodeDecodeError, csv.Error, EOFError) as error:
        raise SimulationError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise SimulationError(f"{path} has no rows")
    return rows


def project_of_csv(data: Path, test: Path | None, *, seed: int, round_size: int) -> Subject:
    """Load the file as a new project; its slug says the file, the seed and, from the second time on, how often."""
    examples = read_csv(data)
    held_out = read_csv(test) if test is not None else None
    classes = sorted({example.label for example in [*examples, *(held_out or ())]})
    name = data.name.split(".")[0]
    project = projects.create(
        slug=_free_slug(f"{slugify(name)[:40]}-seed-{seed}"),
        name=f"{name}, simulated, seed {seed}",
        objective="A simulation: known labels play the annotators.",
        definition={"classes": [{"key": label} for label in classes]},
        by=None,
    )
    policies.new_version(project, by=None, batch_size=round_size, low_watermark=min(20, round_size))
    report = intake.record_items(project, ({"key": row.key, "payload": dict(row.payload)} for row in examples))
    if report.failed:
        raise SimulationError(f"{report.failed} rows of {data} were refused, e.g. {report.results[0].message}")
    return Subject(project, examples, held_out)


def demo_project(slug: str) -> Subject:
    """A demo project as it stands, with the labels that came with its data."""
    known = {loaded.slug: loaded for loaded in demo.demo_projects()}
    project = Project.objects.filter(slug=slug).first()
    if project is None or slug not in known:
        raise SimulationError(
            f"there is no demo project {slug} here: known labels exist for {', '.join(known)}, once `make run` loaded them"
        )
    rows = known[slug]
    present = set(Item.objects.filter(project=project).values_list("key", flat=True))
    examples = [
        Example(key, payload, label)
        for key, payload, label in zip(rows.keys, rows.payloads, rows.labels, strict=True)
        if key in present
    ]
    return Subject(project, examples, None)


def _free_slug(slug: str) -> str:
    taken = set(Project.objects.filter(slug__startswith=slug).values_list("slug", flat=True))
    return next(
        name for number in range(1, len(taken) + 2) if (name := f"{slug}-{number}" if number > 1 else slug) not in taken
    )
