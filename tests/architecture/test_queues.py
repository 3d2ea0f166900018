"""Tasks are routed as docs/operations.md says."""

import pytest
from celery import current_app


@pytest.mark.parametrize(
    ("name", "queue"),
    [
        ("sampling.refill", "score"),
        ("sampling.score_shard", "score"),
        ("sampling.sweep_refills", "score"),
        ("sampling.make_features", "train"),
        ("sampling.train_surrogate", "train"),
        ("sampling.compare_arms", "train"),
        ("sampling.sweep_watermarks", "monitor"),
        ("sampling.sweep_features", "monitor"),
        ("sampling.sweep_surrogates", "monitor"),
        ("sampling.sweep_control_arms", "monitor"),
        ("training.run", "train"),
        ("training.sweep_predictions", "train"),
        ("training.check_labels", "train"),
        ("training.sweep_label_checks", "monitor"),
        ("training.sweep_runs", "monitor"),
        ("training.sweep_triggers", "monitor"),
        ("datasets.accept_pending", "ingest"),
        ("datasets.sweep_acceptance", "monitor"),
        ("datasets.sweep_disagreements", "monitor"),
        ("datasets.sweep_label_errors", "ingest"),
        ("datasets.fit_beliefs", "train"),
        ("datasets.sweep_beliefs", "monitor"),
        ("datasets.examine_sources", "score"),
        ("datasets.mix_gold", "ingest"),
        ("datasets.sweep_sources", "monitor"),
        ("labeling.run_import", "ingest"),
        ("labeling.sweep_imports", "monitor"),
        ("labeling.heartbeat", "ingest"),
    ],
)
def test_a_task_runs_on_the_queue_that_is_documented_for_it(name: str, queue: str) -> None:
    current_app.loader.import_default_modules()
    assert name in current_app.tasks
    assert current_app.amqp.router.route({}, name)["queue"].name == queue
