"""What runs when: the whole beat table. Every entry is a sweep or a check that is safe to run twice.

Promptness comes from signals (labeling.news); these entries find what a lost message or a killed worker missed.
"""

from typing import NotRequired, TypedDict

from celery.schedules import schedule


class BeatOptions(TypedDict):
    expires: float


class BeatEntry(TypedDict):
    task: str
    schedule: schedule
    options: NotRequired[BeatOptions]


BEAT_SCHEDULE: dict[str, BeatEntry] = {
    "accept what was not accepted": {"task": "datasets.sweep_acceptance", "schedule": schedule(10.0)},
    "look after beliefs": {
        "task": "datasets.sweep_beliefs",
        "schedule": schedule(30.0),
        "options": {"expires": 30.0},
    },
    "mix gold and examine sources": {
        "task": "datasets.sweep_sources",
        "schedule": schedule(60.0),
        "options": {"expires": 60.0},
    },
    "refill queues that are low": {"task": "sampling.sweep_watermarks", "schedule": schedule(15.0)},
    "run refills that were lost": {"task": "sampling.sweep_refills", "schedule": schedule(20.0)},
    "give items vectors": {
        "task": "sampling.sweep_features",
        "schedule": schedule(30.0),
        "options": {"expires": 30.0},  # fitting may take longer than that, and one sweep is enough
    },
    "train surrogates": {
        "task": "sampling.sweep_surrogates",
        "schedule": schedule(15.0),
        "options": {"expires": 15.0},
    },
    "compare chosen with random labels": {
        "task": "sampling.sweep_control_arms",
        "schedule": schedule(60.0),
        "options": {"expires": 60.0},
    },
    "end questions that have enough": {
        "task": "sampling.sweep_questions",
        "schedule": schedule(15.0),
        "options": {"expires": 15.0},
    },
    "count asks anew": {
        "task": "sampling.sweep_ask_counters",
        "schedule": schedule(300.0),
        "options": {"expires": 300.0},
    },
    "have disagreements reviewed": {
        "task": "datasets.sweep_disagreements",
        "schedule": schedule(60.0),
        "options": {"expires": 60.0},
    },
    "cross-validate labels that changed": {
        "task": "training.sweep_label_checks",
        "schedule": schedule(120.0),
        "options": {"expires": 120.0},
    },
    "look for wrong labels": {"task": "datasets.sweep_label_errors", "schedule": schedule(86_400.0)},
    "rerun trainings that were lost": {"task": "training.sweep_runs", "schedule": schedule(20.0)},
    "predict items newer than the champion": {"task": "training.sweep_predictions", "schedule": schedule(20.0)},
    "start trainings that are due": {"task": "training.sweep_triggers", "schedule": schedule(30.0)},
    "show that worker and schedule are alive": {
        "task": "labeling.heartbeat",
        "schedule": schedule(10.0),
        "options": {"expires": 10.0},  # while the worker is down they must not pile up
    },
    "go on with imports that were lost": {"task": "labeling.sweep_imports", "schedule": schedule(15.0)},
    "delete the files of old imports": {"task": "labeling.forget_import_files", "schedule": schedule(3600.0)},
    "expire asks": {
        "task": "labeling.sweep_asks",
        "schedule": schedule(30.0),
        "options": {"expires": 30.0},
    },
    "join feedback to what it is about": {
        "task": "labeling.sweep_feedback",
        "schedule": schedule(20.0),
        "options": {"expires": 20.0},
    },
    "join feedback that waits long": {"task": "labeling.join_old_feedback", "schedule": schedule(3600.0)},
    "let rows follow a new key of respondents": {
        "task": "labeling.follow_respondents",
        "schedule": schedule(60.0),
        "options": {"expires": 60.0},
    },
    "finish a new key of respondents": {"task": "labeling.finish_respondent_moves", "schedule": schedule(21_600.0)},
    "forget old decisions of asking": {"task": "sampling.forget_old_decisions", "schedule": schedule(21_600.0)},
    "forget old feedback and respondents": {"task": "labeling.forget_old_feedback", "schedule": schedule(21_600.0)},
    "forget old idempotency keys": {"task": "labeling.forget_idempotency_keys", "schedule": schedule(3600.0)},
}
