from labeling.models.annotation import Annotation, AnnotationTask, AnnotatorDay, Draft, Skip
from labeling.models.ask import Ask
from labeling.models.embedding import Embedding, EmbeddingSpace
from labeling.models.feedback import Correction, Feedback
from labeling.models.file_import import ImportJob, ImportRowError
from labeling.models.idempotency import IdempotentRequest
from labeling.models.item import Item, PoolEntry
from labeling.models.media import MediaFile
from labeling.models.prediction import ModelVersion, Prediction
from labeling.models.project import ApiKey, LabelSchema, Membership, Project
from labeling.models.question import Question, QuestionVersion, Respondent, RespondentMove
from labeling.models.retention import RetentionPolicy, RetentionRun

__all__ = [
    "Annotation",
    "AnnotationTask",
    "AnnotatorDay",
    "ApiKey",
    "Ask",
    "Correction",
    "Draft",
    "Embedding",
    "EmbeddingSpace",
    "Feedback",
    "IdempotentRequest",
    "ImportJob",
    "ImportRowError",
    "Item",
    "LabelSchema",
    "MediaFile",
    "Membership",
    "ModelVersion",
    "PoolEntry",
    "Prediction",
    "Project",
    "Question",
    "QuestionVersion",
    "Respondent",
    "RespondentMove",
    "RetentionPolicy",
    "RetentionRun",
    "Skip",
]
