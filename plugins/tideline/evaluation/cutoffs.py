"""Where the past is cut: the last horizons of the data that have enough people to ask, by a rule that sees no score."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tideline.evaluation.split import SECONDS_A_DAY
from tideline.window import parse_instant

CUTOFFS = 4
ENOUGH = 200
"""Test users that a horizon must have; where no horizon has twice as many, half of what the fullest one has."""


@dataclass(frozen=True)
class Plan:
    """The cutoffs to score, ascending, and the earlier one that peers are tuned on; UTC without a zone."""

    cutoffs: tuple[datetime, ...]
    tuning: datetime
    enough: int
    """Test users that a chosen horizon has at least; 0 where the caller chose."""


def choose_cutoffs(events: pa.Table, end: datetime, horizon_days: float) -> Plan:
    """Take the last `CUTOFFS` whole horizons before `end` that have enough test users, counted back from it.

    Test users are those with an event in the horizon and one before it. The tuning cutoff is the last horizon before the first
    of them with as many, or else the one right before it.

    Raises
    ------
    ValueError
        If no horizon has a test user, or none lies before the first cutoff.
    """
    if horizon_days <= 0:
        raise ValueError(f"the horizon must be more than 0 days, got {horizon_days}")
    end = _naive(end)
    users = count_test_users(events, end, horizon_days)
    if not users.size or users.max() == 0:
        raise ValueError(
            f"nobody with history has events in any {horizon_days:g} days: take a longer HORIZON, or more data"
        )
    enough = max(1, min(ENOUGH, int(users.max()) // 2))
    full = np.flatnonzero(users >= enough)
    chosen = full[:CUTOFFS]
    if chosen.size == full.size and chosen.size > 1:
        chosen = chosen[:-1]  # the earliest is kept for tuning
    first = int(chosen[-1])
    earlier = full[full > first]
    tuning = int(earlier[0]) if earlier.size else first + 1
    starts = [end - (back + 1) * timedelta(days=horizon_days) for back in chosen[::-1]]
    return Plan(tuple(starts), end - (tuning + 1) * timedelta(days=horizon_days), enough)


def given_cutoffs(text: str, horizon_days: float) -> Plan:
    """Read the cutoffs that the caller gave, separated by commas; the tuning cutoff lies one horizon before the first.

    Raises
    ------
    ValueError
        If one is no time.
    """
    cutoffs = sorted({_naive(parse_instant(part)) for part in text.split(",") if part.strip()})
    if not cutoffs:
        raise ValueError("CUTOFF names no time: write CUTOFF=2011-11-25,2011-12-02")
    return Plan(tuple(cutoffs), cutoffs[0] - timedelta(days=horizon_days), 0)


def count_test_users(events: pa.Table, end: datetime, horizon_days: float) -> np.ndarray:
    """Return the test users of each horizon counted back from `end`: `[horizons]`, the last horizon first."""
    moment = events["event_at"].cast(pa.timestamp("us")).to_numpy()
    age = (np.datetime64(end, "us") - moment) / np.timedelta64(1, "s") / SECONDS_A_DAY
    # Half-open horizons: an event at a cutoff belongs to the horizon that starts there.
    back = np.ceil(age / horizon_days).astype(np.int64) - 1
    user = pc.index_in(events["user_id"], value_set=pc.unique(events["user_id"])).to_numpy().astype(np.int64)
    inside = back >= 0
    user, back = user[inside], back[inside]
    if not user.size:
        return np.zeros(0, dtype=np.int64)
    pairs = np.unique(np.stack([user, back]), axis=1)
    oldest = np.zeros(user.max() + 1, dtype=np.int64)
    np.maximum.at(oldest, user, back)
    later = pairs[1] < oldest[pairs[0]]
    counts: np.ndarray = np.bincount(pairs[1][later], minlength=int(back.max()) + 1)
    return counts


def _naive(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
