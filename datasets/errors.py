"""Errors of accepted labels and dataset snapshots."""

from labeling.errors import Conflict, InvalidInput, NotFound


class SnapshotNotFound(NotFound):
    code = "snapshot_not_found"


class NothingToSnapshot(Conflict):
    code = "nothing_to_snapshot"


class UnknownExportFormat(InvalidInput):
    code = "unknown_export_format"
