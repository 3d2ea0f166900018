from labeling.models.annotation import Annotation, AnnotationTask, AnnotatorDay, Skip
from labeling.models.idempotency import IdempotentRequest
from labeling.models.item import Item, PoolEntry
from labeling.models.prediction import ModelVersion, Prediction
from labeling.models.project import ApiKey, LabelSchema, Membership, Project

__all__ = [
    "Annotation",
    "AnnotationTask",
    "AnnotatorDay",
    "ApiKey",
    "IdempotentRequest",
    "Item",
    "LabelSchema",
    "Membership",
    "ModelVersion",
    "PoolEntry",
    "Prediction",
    "Project",
    "Skip",
]
