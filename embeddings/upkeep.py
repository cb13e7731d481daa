"""Upkeep of Lance tables: small files become large ones, versions that nobody needs go."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

log = logging.getLogger(__name__)

# Old versions outlive whoever may still be reading them.
GRACE = timedelta(hours=1)
# Lance measures the age a little later than it is computed here.
MARGIN = timedelta(minutes=1)
_FOREVER = timedelta(days=36_500)
_SMALL_FRAGMENTS = 20


def needs_upkeep(table: Any) -> bool:
    """Return whether a table has become many small files, or has rows that one of its indexes lacks."""
    if table.stats()["fragment_stats"]["num_small_fragments"] > _SMALL_FRAGMENTS:
        return True
    indexes = [table.index_stats(index.name) for index in table.list_indices()]
    return any(index is not None and index.num_unindexed_rows for index in indexes)


def compact(table: Any) -> None:
    """Merge small files, then `prune`. Rows keep their order; for tables with upserts, inside the writer's lock."""
    read_now = table.version
    try:
        table.optimize(cleanup_older_than=_FOREVER)
    except RuntimeError as error:  # a commit must not fail for want of tidying
        log.warning("%s was not compacted, it will be next time: %s", table.name, error)
    prune(table, read_now)


def prune(table: Any, read_now: int | None = None) -> None:
    """Remove old versions, up to the oldest that is tagged or that somebody may just be reading.

    `read_now` is the version before a compaction, by default the present one: however old it is, a reader may have
    opened it a moment ago. Lance, for its part, refuses a clean-up that would meet a tag.
    """
    needed = {tag["version"] for tag in table.tags.list().values()} | {read_now or table.version}
    # Lance gives local times without a zone.
    times = [v["timestamp"].astimezone(UTC) for v in table.list_versions() if v["version"] in needed]
    age = datetime.now(UTC) - min(times) + MARGIN
    try:
        table.optimize(cleanup_older_than=max(GRACE, age))
    except RuntimeError as error:
        log.warning("old versions of %s stay, they go next time: %s", table.name, error)
