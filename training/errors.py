"""Errors of training runs and promotions."""

from labeling.errors import Conflict, NotFound


class TrainingAlreadyActive(Conflict):
    code = "training_already_active"


class TrainingRunNotFound(NotFound):
    code = "training_run_not_found"


class NotPromotable(Conflict):
    code = "not_promotable"
