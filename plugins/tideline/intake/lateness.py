"""How late a batch is: what the newest committed run knew up to when the batch was taken in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path


def known_as_of(root: Path) -> datetime | None:
    """Return the greatest `as_of` of a run that readers got in full, or None if nothing was committed yet.

    It is written into each batch and never changes there, so that a rerun judges the same events too late. With None
    nothing is late: it is a first load.
    """
    from tideline.serving.manifest import list_manifests

    return max((entry.as_of for entry in list_manifests(root) if entry.applied), default=None)
