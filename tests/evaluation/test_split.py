"""The time split keeps the future out of the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tideline.evaluation.split import split_events

CUTOFF = datetime(2020, 6, 1)


def write_events(file, rows):
    """Rows of (event_id, user_id, item_id, event_type, hours after the cutoff)."""
    columns = list(zip(*rows, strict=True)) or [[]] * 5
    text = [pa.array(list(column), pa.string()) for column in columns[:4]]
    at = pa.array([CUTOFF + timedelta(hours=hours) for hours in columns[4]], pa.timestamp("us"))
    landed = pa.array([CUTOFF] * len(at), pa.timestamp("us"))
    batch = pa.array([file.stem] * len(at), pa.string())
    names = ["event_id", "user_id", "item_id", "event_type", "event_at", "landed_at", "batch_id"]
    pq.write_table(pa.table([*text, at, landed, batch], names), file)
    return file


def pairs(table):
    return [(row["user_id"], row["item_id"]) for row in table.to_pylist()]


def test_by_hand(tmp_path):
    first = write_events(
        tmp_path / "a.parquet",
        [
            ("e1", "ann", "a", "view", -1),
            ("e2", "ann", "a", "view", 0),
            ("e3", "ann", "b", "view", 23.9),
            ("e4", "ann", "b", "view", 1),
            ("e5", "ann", "c", "view", 24),
            ("e6", "new", "a", "view", 1),
            ("e7", "ann", "d", "exposure", 1),
            ("e8", "ann", None, "search", 1),
            ("e9", "ann", "e", "exposure", -1),
        ],
    )
    again = write_events(tmp_path / "b.parquet", [("e1", "ann", "a", "view", -1), ("f1", "bob", "a", "view", -2)])
    split = split_events([first, again], CUTOFF.replace(tzinfo=UTC), 1, {"exposure"})
    assert split.cutoff == CUTOFF
    assert pairs(split.history) == [("ann", "a"), ("bob", "a")]
    assert pairs(split.test) == [("ann", "a"), ("ann", "b")]
    assert pairs(split.test_new) == [("ann", "b")]


@examples(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.integers(-50, 50)), min_size=1),
    hours=st.integers(1, 48),
)
def test_laws(rows, hours, tmp_path):
    events = [(str(number), user, item, "view", at) for number, (user, item, at) in enumerate(rows)]
    split = split_events([write_events(tmp_path / "events.parquet", events)], CUTOFF, hours / 24)
    before = {(user, item) for user, item, at in rows if at < 0}
    known = {user for user, _ in before}
    after = {(user, item) for user, item, at in rows if 0 <= at < hours and user in known}
    assert len(pairs(split.history)) == sum(at < 0 for _, _, at in rows)
    assert set(pairs(split.history)) == before
    assert pairs(split.test) == sorted(after)
    assert pairs(split.test_new) == sorted(after - before)


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="more than 0 days"):
        split_events([tmp_path / "x.parquet"], CUTOFF, 0)
    with pytest.raises(ValueError, match="no events"):
        split_events([], CUTOFF, 7)
