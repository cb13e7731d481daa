"""Splits and lists written by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from tideline.evaluation.split import Split, split_at

CUTOFF = datetime(2020, 6, 1)


def events(rows):
    """Rows of (user, item, days after the cutoff) or (user, item, days, weight)."""
    return pa.table(
        {
            "user_id": pa.array([row[0] for row in rows], pa.string()),
            "item_id": pa.array([row[1] for row in rows], pa.string()),
            "event_at": pa.array([CUTOFF + timedelta(days=row[2]) for row in rows], pa.timestamp("us")),
            "weight": pa.array([row[3] if len(row) > 3 else 1.0 for row in rows], pa.float64()),
        }
    )


def split_of(rows, horizon_days=7, more_items=None) -> Split:
    table = events(rows)
    return split_at(table, table, CUTOFF, horizon_days, more_items)


def by_name(split: Split, lists, users) -> dict[str, list[str]]:
    """Lists of item numbers as `{user id: [item ids]}`."""
    return {
        split.user_id[int(user)].as_py(): [split.item_id[int(item)].as_py() for item in row if item >= 0]
        for user, row in zip(users, lists, strict=True)
    }


def everybody(split: Split):
    return np.arange(split.history.users)
