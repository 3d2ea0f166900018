"""How good a model version is, by labels that did not train it."""

from datasets.services import accuracy
from datasets.services.accuracy import AccuracyEstimates
from labeling.models import ModelVersion
from training.models import TrainingRun


def estimates(version: ModelVersion) -> AccuracyEstimates:
    """All estimates of the version's accuracy.

    Active draws count from its training snapshot on; of a model that the app made from the time it was registered, for
    what it was trained on before that is not known here.
    """
    run = TrainingRun.objects.filter(model_version=version).select_related("snapshot").first()
    return accuracy.estimates(version.project, version, since=run.snapshot.created_at if run else version.created_at)
