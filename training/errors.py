"""Errors of training runs and promotions."""

from labeling.errors import Conflict, InvalidInput, NotFound


class TrainingAlreadyActive(Conflict):
    """One run at a time: the next one would train on nearly the same labels."""

    code = "training_already_active"


class KindNotTrainable(InvalidInput):
    """The built-in trainers learn one class an item; models of other task types are trained outside."""

    code = "kind_not_trainable"


class TrainingRunNotFound(NotFound):
    code = "training_run_not_found"


class ModelVersionNotFound(NotFound):
    code = "model_version_not_found"


class NotPromotable(Conflict):
    """The gate refuses it. The refusal is recorded; whoever may manage the project may promote it by force."""

    code = "not_promotable"


class PredictionsMissing(Conflict):
    """The version has not predicted every item that is or can be queued, so the queue could not be drawn by it."""

    code = "predictions_missing"


class AlreadyChampion(Conflict):
    code = "already_champion"


class ModelVersionHasRun(Conflict):
    """A training run names this model version as its outcome already."""

    code = "model_version_has_run"


class InvalidPolicy(InvalidInput):
    code = "invalid_policy"


class UnknownTrainer(InvalidInput):
    code = "unknown_trainer"
