"""The simulation goes through the services: what it leaves in the database is a project that was really worked on."""

import csv
from pathlib import Path

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pytest_django import Settings

from datasets.estimation.wilson import proportion_interval
from datasets.models import AcceptedLabel, SnapshotRow
from feedbackproject import demo
from feedbackproject.simulation import Example, Hits, Plan, Simulation, Step, noisy_answers
from feedbackproject.simulation_report import labels_to_reach, result
from labeling.models import AnnotationTask, Item, Project
from labeling.services import intake, projects
from sampling.models import RefillRun
from sampling.services import policies as queue_policies
from tests.factories import digits
from training.models import LearningCurvePoint, TrainingRun
from training.services import policies

pytestmark = pytest.mark.django_db

WORDS = {"greeting": "hello morning dear", "farewell": "bye later cheers", "thanks": "thank grateful kind"}


@pytest.fixture(autouse=True)
def artifact_dir(settings: Settings, tmp_path: Path) -> None:
    settings.ARTIFACT_DIR = tmp_path / "artifacts"


def examples_of(project: Project) -> list[Example]:
    return [Example(item.key, item.payload, digits.truth(item.key)) for item in Item.objects.filter(project=project)]


def write_csv(path: Path, *, rows: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(rows):
            label = list(WORDS)[number % 3]
            writer.writerow([f"{' '.join(rng.choice(WORDS[label].split(), 2))} {rng.integers(50)}", label])
    return path


@pytest.fixture
def digits_steps(owner: User) -> tuple[Project, list[Step]]:
    """Two rounds of 40 labels on 300 digits, from a champion that saw three examples a class."""
    project = digits.project(owner)
    queue_policies.new_version(project, by=None, batch_size=25, low_watermark=5, epsilon=0.2)
    plan = Plan(labels=80, round_size=40, seed=3)
    return project, list(Simulation(project, examples_of(project), plan, test=None).run())


def test_rounds_go_through_queue_acceptance_and_training(digits_steps: tuple[Project, list[Step]]) -> None:
    project, steps = digits_steps
    assert [step.labels for step in steps] == [0, 40, 80]
    assert AcceptedLabel.objects.filter(project=project).count() == 80
    assert AnnotationTask.objects.filter(project=project, state="answered").count() == 80
    runs = TrainingRun.objects.filter(project=project).order_by("id")
    assert [(run.state, run.snapshot.row_count) for run in runs] == [("succeeded", 40), ("succeeded", 80)]
    # Batches of 25 do not fill rounds of 40, so each round drew twice.
    assert RefillRun.objects.filter(project=project, state="succeeded").count() == 4
    assert all(label.label == digits.truth(label.item.key) for label in AcceptedLabel.objects.select_related("item"))


def test_audit_draws_count_as_labels_and_are_never_trained_on(digits_steps: tuple[Project, list[Step]]) -> None:
    project, steps = digits_steps
    run = TrainingRun.objects.filter(project=project).latest("id")
    audit = SnapshotRow.objects.filter(snapshot=run.snapshot, split="test")
    assert 0 < audit.count() == steps[-1].audit_labels
    assert run.metrics["n_train"] == 80 - audit.count()
    reserve = set(Item.objects.filter(project=project, bucket__lt=1000).values_list("key", flat=True))
    assert set(audit.values_list("item_key", flat=True)) <= reserve
    assert not SnapshotRow.objects.exclude(split="test").filter(item_key__in=reserve).exists()


def test_both_arms_are_in_the_learning_curve(digits_steps: tuple[Project, list[Step]]) -> None:
    project, steps = digits_steps
    points = LearningCurvePoint.objects.filter(project=project, source="test_set")
    reserve = Item.objects.filter(project=project, bucket__lt=1000).count()
    assert list(points.filter(arm="active").values_list("label_count", flat=True)) == [0, 40, 80]
    assert list(points.filter(arm="random").values_list("label_count", flat=True)) == [40, 80]
    assert set(points.values_list("seed", "evaluated_on")) == {(3, reserve)}
    assert steps[0].control is None
    last = points.get(arm="active", label_count=80)
    assert last.accuracy == steps[-1].active.accuracy > 0.5


def test_the_projects_own_trigger_is_off_meanwhile_and_on_again_afterwards(
    digits_steps: tuple[Project, list[Step]],
) -> None:
    project, _ = digits_steps
    assert policies.current_policy(project).min_new_labels == 50
    assert not TrainingRun.objects.filter(project=project, trigger="volume").exists()


def test_the_control_arm_never_sees_the_rows_it_is_measured_on(owner: User) -> None:
    project = digits.project(owner)
    simulation = Simulation(project, examples_of(project), Plan(), test=None)
    reserve = set(Item.objects.filter(project=project, bucket__lt=1000).values_list("key", flat=True))
    assert reserve
    assert not reserve & set(simulation._control_order)


def test_a_csv_file_becomes_a_project_and_a_report(
    db: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, test = write_csv(tmp_path / "mail.csv", rows=150, seed=0), write_csv(tmp_path / "test.csv", rows=30, seed=1)
    report = tmp_path / "out" / "report.md"
    call_command("simulate", data=data, test=test, labels=29, round=10, start_per_class=3, seeds=2, report=report)
    slugs = list(Project.objects.order_by("pk").values_list("slug", flat=True))
    assert slugs == ["mail-seed-0", "mail-seed-1"]
    for project in Project.objects.all():
        tasks = AnnotationTask.objects.filter(project=project, state="answered")
        assert (tasks.count(), tasks.filter(reason="manual").count()) == (29, 9)
        assert not tasks.filter(reason="manual", item__bucket__lt=1000).exists()
        points = LearningCurvePoint.objects.filter(project=project, source="test_set", evaluated_on=30)
        assert sorted(points.values_list("arm", "label_count")) == [
            (arm, count) for arm in ("active", "random") for count in (9, 19, 29)
        ]
    page = report.read_text()
    assert "seeds 0, 1" in page
    assert "| 29 |" in page
    assert str(tmp_path) not in page
    assert report.with_suffix(".svg").read_text().startswith("<svg ")
    assert "random arm: accuracy" in capsys.readouterr().out


def test_a_demo_project_is_simulated_as_it_stands(owner: User, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = demo.digits()
    project = projects.create(slug="digits", name=loaded.name, definition=loaded.definition, by=owner)
    rows = list(zip(loaded.keys, loaded.payloads, strict=True))[:250]
    intake.record_items(project, ({"key": key, "payload": payload} for key, payload in rows))
    call_command("simulate", project="digits", labels=45, round=15)
    answered = AcceptedLabel.objects.filter(project=project).select_related("item")
    truth = dict(zip(loaded.keys, loaded.labels, strict=True))
    assert {label.item.key: label.label for label in answered} == {
        label.item.key: truth[label.item.key] for label in answered
    }
    assert len(answered) == 45
    assert "project digits, seed 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"project": "digits"}, "no demo project digits here"),
        ({"project": "digits", "seeds": 2}, "can be simulated once"),
        ({"data": Path("nowhere.csv")}, "cannot be read"),
        ({"data": Path("manage.py")}, "needs the columns text and label"),
        ({"data": Path("x.csv"), "labels": 0}, "--labels must be at least 1"),
        ({"data": Path("x.csv"), "error_rate": 1.5}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_simulated_is_said_and_leaves_no_project(
    db: None, options: dict[str, object], problem: str
) -> None:
    with pytest.raises(CommandError, match=problem):
        call_command("simulate", **options)
    assert not Project.objects.exists()


def test_wrong_answers_are_as_frequent_as_asked_and_spread_over_the_other_classes() -> None:
    truth = {f"{number:05d}": "a" for number in range(20_000)}
    answers = noisy_answers(truth, ["a", "b", "c"], error_rate=0.3, rng=np.random.default_rng(0))
    shares = [list(answers.values()).count(name) / 20_000 for name in "abc"]
    # Standard error 0.003.
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.012)
    assert noisy_answers(truth, ["a", "b"], error_rate=0.0, rng=np.random.default_rng(0)) == truth


@pytest.mark.parametrize(
    ("target", "expected"), [(0.4, 100.0), (0.55, 150.0), (0.6, 200.0), (0.7, 300.0), (0.9, float("inf"))]
)
def test_the_crossing_is_interpolated(target: float, expected: float) -> None:
    assert labels_to_reach(target, [100, 200, 300], [0.5, 0.6, 0.7]) == expected


def test_the_figure_comes_from_the_mean_curves() -> None:
    def step(labels: int, active: int, control: int) -> Step:
        hits = Hits(active, 100)
        return Step(labels, 0, hits, hits, Hits(control, 100), proportion_interval(0, 0), True)

    seeds = {
        0: [step(100, 40, 40), step(200, 70, 50), step(300, 80, 60)],
        1: [step(100, 40, 40), step(200, 50, 50), step(300, 80, 70)],
    }
    found = result(seeds)
    assert found is not None
    # Random ends at 0.65 on average; active has 0.60 at 200 and 0.80 at 300.
    assert found.target == pytest.approx(0.65)
    assert (found.labels_needed, found.budget, found.share) == (225.0, 300, 0.75)
