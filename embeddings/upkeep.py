"""Upkeep of Lance tables: small files become large ones, versions that nobody needs go."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

log = logging.getLogger(__name__)

# Old versions outlive whoever may still be reading them.
_GRACE = timedelta(hours=1)
# Lance measures the age a little later than it is computed here.
_MARGIN = timedelta(minutes=1)
_FOREVER = timedelta(days=36_500)


def compact(table: Any) -> None:
    """Compact a table, then `prune` it. Rows keep their order; for tables with upserts, inside the writer's lock."""
    table.optimize(cleanup_older_than=_FOREVER)
    prune(table)


def prune(table: Any) -> None:
    """Remove versions older than every tag: Lance refuses a clean-up that would meet one."""
    tagged = {tag["version"] for tag in table.tags.list().values()}
    # Lance gives local times without a zone.
    times = [v["timestamp"].astimezone(UTC) for v in table.list_versions() if v["version"] in tagged]
    age = datetime.now(UTC) - min(times) + _MARGIN if times else _GRACE
    try:
        table.optimize(cleanup_older_than=max(_GRACE, age))
    except RuntimeError as error:  # a clock that was set back, say: a commit must not fail for want of tidying
        log.warning("old versions of %s stay until the next clean-up: %s", table.name, error)
