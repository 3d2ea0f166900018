"""What holds for every model: foreign keys point down the house, and choices are held by the database."""

import pytest
from django.apps import apps
from django.db import models

FLOOR = {"auth": 0, "contenttypes": 0, "labeling": 1, "datasets": 2, "sampling": 3, "training": 3}
OUR_APPS = ("labeling", "datasets", "sampling", "training")
OUR_MODELS = [model for label in OUR_APPS for model in apps.get_app_config(label).get_models(include_auto_created=True)]


@pytest.mark.parametrize("model", OUR_MODELS, ids=lambda model: model._meta.label)
def test_foreign_keys_point_down(model: type[models.Model]) -> None:
    for field in model._meta.get_fields():
        if not isinstance(field, models.ForeignKey | models.ManyToManyField):
            continue
        here, there = model._meta.app_label, field.related_model._meta.app_label
        assert here == there or FLOOR[there] < FLOOR[here], f"{field} points up or sideways"


@pytest.mark.parametrize("model", OUR_MODELS, ids=lambda model: model._meta.label)
def test_text_choices_are_held_by_a_check_constraint(model: type[models.Model]) -> None:
    """A status that only Python guards is a status that a COPY or a shell can break."""
    checked = " ".join(
        str(constraint.condition)
        for constraint in model._meta.constraints
        if isinstance(constraint, models.CheckConstraint)
    )
    for field in model._meta.get_fields():
        if isinstance(field, models.CharField) and field.choices:
            assert f"'{field.name}__in'" in checked, f"{model._meta.label}.{field.name} has choices but no constraint"
