"""What pages about sources need of templates."""

from collections.abc import Mapping
from typing import TypeVar

from django import template

register = template.Library()
V = TypeVar("V")


@register.filter
def of(values: Mapping[int, V], key: int) -> V | None:
    """The value of a mapping under a key that is a variable; nothing where there is none."""
    return values.get(key)
