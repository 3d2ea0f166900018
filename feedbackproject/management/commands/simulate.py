from math import isinf
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from feedbackproject import simulation_data, simulation_report
from feedbackproject.simulation import Plan, Simulation, SimulationError, Step
from feedbackproject.simulation_data import Subject
from labeling.errors import DomainError
from training.trainers import registry


class Command(BaseCommand):
    help = (
        "Answers a project's queue through the service layer with known true labels, in rounds with retraining, next to a "
        "control arm whose labels are drawn uniformly. Both curves appear on the project's overview."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        subject = parser.add_mutually_exclusive_group(required=True)
        subject.add_argument("--project", help="slug of a demo project that is loaded")
        subject.add_argument("--data", type=Path, help="CSV file with text,label (.gz too); becomes a project per seed")
        parser.add_argument("--test", type=Path, help="CSV file to measure on (default: the project's audit reserve)")
        parser.add_argument("--labels", type=int, default=1500, help="labels at the end, in all (default 1500)")
        parser.add_argument("--round", type=int, default=100, help="labels between two trainings (default 100)")
        parser.add_argument("--start-per-class", type=int, default=3, help="first examples of each class (default 3)")
        parser.add_argument("--error-rate", type=float, default=0.0, help="share of wrong answers (default 0)")
        parser.add_argument("--seeds", type=int, default=1, help="repetitions, with seeds 0, 1, ... (default 1)")
        parser.add_argument("--first-seed", type=int, default=0, help="begin with another seed (default 0)")
        parser.add_argument("--trainer", choices=registry.names(), default=registry.AUTO)
        parser.add_argument("--report", type=Path, help="write a Markdown page here, and its chart beside it")

    def handle(self, *args: Any, **options: Any) -> None:
        self._check(options)
        seeds = range(options["first_seed"], options["first_seed"] + options["seeds"])
        found: dict[int, list[Step]] = {}
        facts: list[str] = []
        for seed in seeds:
            plan = _plan(options, seed)
            try:
                subject = self._subject(options, plan)
                facts = _facts(options, subject)
                self.stdout.write(f"\nproject {subject.project.slug}, seed {seed}\n{simulation_report.HEADER}")
                found[seed] = []
                for step in Simulation(subject.project, subject.examples, plan, test=subject.test).run():
                    found[seed].append(step)
                    self.stdout.write(simulation_report.line(step))
                    self.stdout.flush()
            except (SimulationError, DomainError) as error:
                raise CommandError(str(error)) from error
        self._tell(found)
        if options["report"]:
            self._write(options, found, facts)

    def _check(self, options: dict[str, Any]) -> None:
        if options["project"] and options["seeds"] != 1:
            raise CommandError("a project keeps its labels, so it can be simulated once: use --seeds 1")
        if options["project"] and options["test"]:
            raise CommandError("--test goes with --data; a demo project is measured on its audit reserve")
        for name in ("labels", "round", "start_per_class", "seeds"):
            if options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} must be at least 1")
        if not 0.0 <= options["error_rate"] <= 1.0:
            raise CommandError("--error-rate must lie between 0 and 1")

    def _subject(self, options: dict[str, Any], plan: Plan) -> Subject:
        if options["project"]:
            return simulation_data.demo_project(options["project"])
        return simulation_data.project_of_csv(
            options["data"], options["test"], seed=plan.seed, round_size=plan.round_size
        )

    def _tell(self, found: dict[int, list[Step]]) -> None:
        result = simulation_report.result(found)
        if result is None:
            return
        self.stdout.write(f"\nrandom arm: accuracy {result.target:.4f} with {result.budget} labels")
        if isinf(result.labels_needed):
            self.stdout.write(f"active arm: not reached with {result.budget} labels")
            return
        self.stdout.write(
            f"active arm: the same with {result.labels_needed:.0f} labels, {result.share:.1%} "
            f"(newest trained model: {result.labels_needed_by_newest:.0f})"
        )

    def _write(self, options: dict[str, Any], found: dict[int, list[Step]], facts: list[str]) -> None:
        target: Path = options["report"]
        chart = target.with_suffix(".svg")
        target.parent.mkdir(parents=True, exist_ok=True)
        page = simulation_report.page(
            "How many labels active selection saves",
            found,
            _plan(options, options["first_seed"]),
            command=_command(options),
            facts=facts,
            chart=chart.name,
        )
        target.write_text(page)
        chart.write_text(simulation_report.chart(found))
        self.stdout.write(f"\nwrote {target} and {chart.name}")


def _plan(options: dict[str, Any], seed: int) -> Plan:
    return Plan(
        labels=options["labels"],
        round_size=options["round"],
        start_per_class=options["start_per_class"],
        error_rate=options["error_rate"],
        seed=seed,
        trainer=options["trainer"],
    )


def _facts(options: dict[str, Any], subject: Subject) -> list[str]:
    classes = len({example.label for example in subject.examples})
    name = options["data"].name if options["data"] else f"demo project {subject.project.slug}"
    measured = f"{len(subject.test):,} rows of {options['test'].name}" if subject.test else "the audit reserve"
    return [f"{name}: {len(subject.examples):,} items of {classes} classes, measured on {measured}."]


def _command(options: dict[str, Any]) -> str:
    """The command without the directories of this machine."""
    parts = ["manage.py simulate"]
    for name in ("project", "data", "test"):
        if options[name]:
            value = options[name]
            parts.append(f"--{name} {value.name if isinstance(value, Path) else value}")
    for name in ("labels", "round", "start_per_class", "error_rate", "seeds", "first_seed", "trainer"):
        parts.append(f"--{name.replace('_', '-')} {options[name]}")
    return " ".join(parts)
