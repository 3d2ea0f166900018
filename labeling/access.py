"""Who may do what. Roles of people and kinds of API keys map to capabilities; code asks for capabilities only."""

from enum import StrEnum


class Capability(StrEnum):
    ANNOTATE = "annotate"
    """Get tasks and answer them."""
    READ = "read"
    """See items, queue, labels, snapshots, models."""
    WRITE_DATA = "write_data"
    """Send items, predictions and model versions."""
    MANAGE = "manage"
    """Start refills, snapshots and trainings, promote, change policies and label schema."""
    ADMINISTER = "administer"
    """Members and API keys."""


_EVERYTHING = frozenset(Capability)

_BY_ROLE: dict[str, frozenset[Capability]] = {
    "owner": _EVERYTHING,
    "manager": _EVERYTHING - {Capability.ADMINISTER},
    "reviewer": frozenset({Capability.ANNOTATE, Capability.READ}),
    "annotator": frozenset({Capability.ANNOTATE}),
}

_BY_KEY_KIND: dict[str, frozenset[Capability]] = {
    "secret": frozenset({Capability.READ, Capability.WRITE_DATA, Capability.MANAGE}),
    "publishable": frozenset(),
}


def of_role(role: str) -> frozenset[Capability]:
    return _BY_ROLE[role]


def of_key(kind: str) -> frozenset[Capability]:
    return _BY_KEY_KIND[kind]
