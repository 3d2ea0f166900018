"""Errors of accepted labels and dataset snapshots."""

from labeling.errors import Conflict, InvalidInput, NotAllowed, NotFound


class SnapshotNotFound(NotFound):
    code = "snapshot_not_found"


class NothingToSnapshot(Conflict):
    code = "nothing_to_snapshot"


class InvalidAcceptancePolicy(InvalidInput):
    code = "invalid_policy"


class AcceptancePolicyOutdated(Conflict):
    """Somebody else put another version in force meanwhile."""

    code = "policy_outdated"


class UnknownExportFormat(InvalidInput):
    code = "unknown_export_format"


class StandingNotFound(NotFound):
    code = "source_not_found"


class StandingChanged(Conflict):
    """Somebody else decided about the source meanwhile."""

    code = "standing_changed"


class OwnStanding(NotAllowed):
    """Somebody else must decide about it."""

    code = "own_standing"


class GoldNotFound(NotFound):
    code = "gold_not_found"


class ReviewNotFound(NotFound):
    code = "review_not_found"


class ReviewClosed(Conflict):
    """Somebody decided already; the fields say who and what."""

    code = "review_closed"


class ReviewClaimed(Conflict):
    """Another reviewer is at the case."""

    code = "review_claimed"


class AlreadyInReview(Conflict):
    code = "already_in_review"
