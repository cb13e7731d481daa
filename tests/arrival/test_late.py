"""A law: late events inside the lookback give the tables of an arrival in order; beyond it they are only counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tideline import warehouse
from tideline.intake import list_batches, take_in

HEADER = "event_id,user_id,item_id,event_type,event_at,event_text\n"
AS_OF = datetime(2024, 5, 1, tzinfo=UTC)
COMMITS = [AS_OF - timedelta(days=40), AS_OF - timedelta(days=10)]
"""Nights that are committed after the first and after the second file was taken in."""
LOOKBACK = timedelta(days=30)
TABLES = [name for name in warehouse.EXPORTED if name != "run_settings"]

minutes = st.one_of(
    st.integers(0, 60 * 24 * 90),
    st.integers(0, 60 * 24 * 500),
    # The edges of what the two later files may still bring.
    st.sampled_from([60 * 24 * 40, 60 * 24 * 40 + 1, 60 * 24 * 70, 60 * 24 * 70 + 1]),
)
events = st.lists(
    st.tuples(
        minutes.map(lambda n: AS_OF - timedelta(minutes=n)),
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from(["i1", "i2", "i3"]),
        st.sampled_from(["view", "purchase", "exposure"]),
        st.sampled_from(["", "a warm coat"]),
        st.sets(st.integers(0, 2), min_size=1),
    ),
    min_size=20,
    max_size=60,
)
"""Each event with the files, one or several, that bring it."""


def too_late(event_at: datetime, file: int) -> bool:
    return file > 0 and event_at < COMMITS[file - 1] - LOOKBACK


def csv(rows: list[tuple]) -> str:
    return HEADER + "".join(f"{name},{u},{i},{kind},{at.isoformat()},{text}\n" for name, at, u, i, kind, text in rows)


def tables(run) -> dict[str, list[tuple]]:
    with duckdb.connect(str(run.warehouse), read_only=True) as connection:
        found = {name: connection.execute(f'select * from "{name}" order by all').fetchall() for name in TABLES}
        found["events"] = connection.execute(
            "select * exclude (landed_at, batch_id) from int_events__deduplicated order by all"
        ).fetchall()
        return found


@pytest.mark.slow
@given(stream=events, turn=st.randoms(use_true_random=False))
@settings(
    max_examples=3,
    phases=[Phase.explicit, Phase.generate],  # one example is four intakes and two runs of dbt
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_late_events_give_the_tables_of_an_arrival_in_order(new_home, commit, build, land, stream, turn) -> None:
    named = [(f"e{n}", *event) for n, event in enumerate(stream)]
    shuffled = new_home()
    for number in range(3):
        rows = [row[:-1] for row in named if number in row[-1]]
        turn.shuffle(rows)
        land(shuffled, f"{number}.csv", csv(rows))
        take_in(shuffled, landed_at=AS_OF + timedelta(days=number))
        if number < 2:
            commit(shuffled, COMMITS[number])
    in_time = [row[:-1] for row in named if any(not too_late(row[1], number) for number in row[-1])]
    ordered = new_home()
    land(ordered, "all.csv", csv(sorted(in_time, key=lambda row: row[1])))
    take_in(ordered, landed_at=AS_OF)

    run = build(shuffled, AS_OF)

    assert tables(run) == tables(build(ordered, AS_OF))
    with duckdb.connect(str(run.warehouse), read_only=True) as connection:
        (counted,) = connection.execute("select too_late from run_accounting").fetchone()
    assert counted == sum(too_late(row[1], number) and row[1] < AS_OF for row in named for number in row[-1])


def test_a_batch_remembers_what_was_known_when_it_landed(new_home, commit, land) -> None:
    home = new_home()
    land(home, "0.csv", csv([("e0", AS_OF - timedelta(days=900), "u1", "i1", "view", "")]))
    take_in(home)
    commit(home, COMMITS[1])
    commit(home, COMMITS[0])  # a backfill: what is known does not shrink
    land(home, "1.csv", csv([("e1", AS_OF, "u1", "i1", "view", "")]))
    take_in(home)
    commit(home, AS_OF)
    take_in(home)

    known = {batch["file"]: batch["known_as_of"] for batch in list_batches(home.root)}

    assert known == {"events/0.csv": None, "events/1.csv": COMMITS[1].isoformat()}


def test_a_released_row_is_as_late_as_its_file_was_and_touches_its_user(new_home, commit, build, land) -> None:
    from tideline.intake import Selection, release

    home = new_home()
    old = AS_OF - timedelta(days=300)
    land(home, "0.csv", csv([("e0", old, "", "i1", "view", ""), ("e1", old, "u1", "i1", "view", "")]))
    take_in(home)
    commit(home, AS_OF)
    release(home, Selection(rule="user_id_missing"), {"user_id": "u2"})
    (new,) = [batch["batch_id"] for batch in list_batches(home.root) if batch["kind"] == "release"]

    hour = build(home, AS_OF + timedelta(hours=1), "hourly", (new,))

    with duckdb.connect(str(hour.warehouse), read_only=True) as connection:
        assert connection.execute("select user_id from long_window_behaviour").fetchall() == [("u2",)]
