"""Peers against plain loops."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tideline.evaluation.command import without_known
from tideline.evaluation.peers import nearest_text, popular

NOW = datetime(2020, 6, 1)


def history(rows):
    return pa.table(
        {
            "user_id": [user for user, _, _ in rows],
            "item_id": [item for _, item, _ in rows],
            "event_at": pa.array([NOW - timedelta(days=age) for _, _, age in rows], pa.timestamp("us")),
        }
    )


def as_lists(table):
    found = {}
    for row in table.to_pylist():
        found.setdefault(row["user_id"], []).append(row["item_id"])
        assert row["rank"] == len(found[row["user_id"]])
    return found


EVENTS = [("ann", "a", 1), ("ann", "a", 9), ("bob", "a", 9), ("bob", "b", 9), ("cid", "b", 2), ("cid", "c", 3)]


@pytest.mark.parametrize(
    ("days", "new_only", "expected"),
    [
        (None, False, {"ann": ["a", "b"], "zoe": ["a", "b"]}),
        (None, True, {"ann": ["b", "c"], "zoe": ["a", "b"]}),
        (7, False, {"ann": ["a", "b"], "zoe": ["a", "b"]}),
        (2.5, True, {"ann": ["b"], "zoe": ["a", "b"]}),
    ],
)
def test_popular(days, new_only, expected):
    since = None if days is None else NOW - timedelta(days=days)
    found = popular(history(EVENTS), pa.array(["ann", "zoe"]), 2, since=since, new_only=new_only)
    assert as_lists(found) == expected


@pytest.mark.parametrize("new_only", [True, False])
def test_nearest_text(new_only):
    random = np.random.default_rng(5)
    users, items = [f"u{n}" for n in range(8)], [f"i{n:02d}" for n in range(40)]
    queries = random.normal(size=(8, 4)).astype(np.float32)
    vectors = random.normal(size=(40, 4)).astype(np.float32)
    rows = [(str(random.choice(users)), str(random.choice(items)), 1) for _ in range(150)] + [("other", "i00", 1)]
    found = nearest_text(pa.array(users), queries, pa.array(items), vectors, history(rows), 5, new_only=new_only)
    seen = Counter((user, item) for user, item, _ in rows)
    for index, user in enumerate(users):
        order = [items[place] for place in np.argsort(-(vectors @ queries[index]), kind="stable")]
        assert as_lists(found)[user] == [item for item in order if not (new_only and seen[user, item])][:5]


def test_without_known_closes_the_gaps():
    shown = pa.table({"user_id": ["ann"] * 3 + ["bob"], "rank": [1, 2, 3, 1], "item_id": ["a", "b", "c", "a"]})
    found = without_known(shown, history([("ann", "a", 1), ("cid", "b", 1)]))
    assert as_lists(found) == {"ann": ["b", "c"], "bob": ["a"]}
