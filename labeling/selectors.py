"""Reads that the services, tasks and edges of this app and of those above share."""

from labeling import schema
from labeling.models import LabelSchema, ModelVersion, Project


def current_schema(project: Project) -> LabelSchema:
    """The label schema in force: the highest version. Every project has one from its creation on."""
    return LabelSchema.objects.filter(project=project).latest("version")


def parsed(label_schema: LabelSchema) -> schema.SingleChoice:
    """The stored row in the form that knows classes and answers."""
    return schema.parse_definition({**label_schema.definition, "kind": label_schema.kind})


def parsed_schema(project: Project) -> schema.SingleChoice:
    """`current_schema` in the form that knows classes and answers."""
    return parsed(current_schema(project))


def champion(project: Project) -> ModelVersion | None:
    """The model version whose predictions the pool holds; None before the first one is registered."""
    return ModelVersion.objects.filter(project=project, stage=ModelVersion.Stage.CHAMPION).first()
