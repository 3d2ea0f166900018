"""Who may do what. Roles of people and kinds of API keys map to capabilities; code asks for capabilities only."""

from enum import StrEnum


class Capability(StrEnum):
    ANNOTATE = "annotate"
    """Get tasks and answer them."""
    REVIEW = "review"
    """Decide about items and sources that are in doubt."""
    READ = "read"
    """See items, queue, labels, snapshots, models."""
    WRITE_DATA = "write_data"
    """Send items, predictions and model versions."""
    MANAGE = "manage"
    """Start refills, snapshots and trainings, promote, change policies and label schema."""
    ADMINISTER = "administer"
    """Members and API keys."""
    ASK = "ask"
    """Have it decided whether an end user is asked. What a browser may not say there, the endpoint refuses."""
    SEND_FEEDBACK = "send_feedback"
    """Send what end users say and do. From a browser only with a token, or kinds that its key allows."""
    HANDLE_RESPONDENTS = "handle_respondents"
    """Export and erase what is known of an end user."""


_EVERYTHING = frozenset(Capability)

_BY_ROLE: dict[str, frozenset[Capability]] = {
    "owner": _EVERYTHING,
    "manager": _EVERYTHING - {Capability.ADMINISTER, Capability.HANDLE_RESPONDENTS},
    "reviewer": frozenset({Capability.ANNOTATE, Capability.READ, Capability.REVIEW}),
    "annotator": frozenset({Capability.ANNOTATE}),
}

_BY_KEY_KIND: dict[str, frozenset[Capability]] = {
    "secret": _EVERYTHING - {Capability.ANNOTATE, Capability.REVIEW, Capability.ADMINISTER},
    "publishable": frozenset({Capability.ASK, Capability.SEND_FEEDBACK}),
}


def of_role(role: str) -> frozenset[Capability]:
    return _BY_ROLE[role]


def of_key(kind: str) -> frozenset[Capability]:
    return _BY_KEY_KIND[kind]
