"""What readers may see of an intake: counts by file and by rule, no content."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tideline.intake.batches import read_batches

INTAKE = (
    "batch_id",
    "file",
    "landed_at",
    "sha256",
    "bytes",
    "rows_read",
    "accepted",
    "quarantined",
    "ignored",
    "events",
    "items",
)


def summaries(root: Path, batch_ids: Iterable[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the published `intake` and `quarantine_summary`.

    Returns
    -------
    tuple
        One row a batch with the columns `INTAKE`; one row a batch and rule with `batch_id`, `file`, `rule`, `rows` and
        `disposition` (quarantined or ignored). An unreadable file has the rule `unreadable_file` with 0 rows.
    """
    batches = read_batches(root, batch_ids)
    rules = [
        {"batch_id": batch["batch_id"], "file": batch["file"], "rule": rule, "rows": rows, "disposition": disposition}
        for batch in batches
        for disposition, by_rule in (("quarantined", batch["reasons"]), ("ignored", batch["ignored_by"]))
        for rule, rows in by_rule.items()
    ]
    return [{name: batch[name] for name in INTAKE} for batch in batches], rules
