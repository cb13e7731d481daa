"""What was shown never counts as interest, and is counted only against what was published."""

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tideline import contracts, warehouse

AS_OF = datetime(2024, 5, 1, 10)
TABLES = [name for name in warehouse.EXPORTED if name != "run_settings"]
NIGHT = "20240430T000000Z-nightly-0123abcd"
few = settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

exposures = st.lists(
    st.fixed_dictionaries(
        {
            # u9, i9: nobody else knows them.
            "user_id": st.sampled_from(["u1", "u2", "u9"]),
            "item_id": st.sampled_from(["i1", "i2", "i9"]),
            "event_at": st.integers(-40 * 24 * 60, 60).map(lambda minutes: AS_OF + timedelta(minutes=minutes)),
            "event_text": st.sampled_from([None, "the words that it was found by"]),
            "generation": st.sampled_from([None, NIGHT, "another"]),
        }
    ),
    min_size=1,
    max_size=30,
)


def interest():
    """Views of two users: of the last hour by u1, of last month by u2."""
    return [
        {"event_id": "v1", "user_id": "u1", "item_id": "i1", "event_at": AS_OF - timedelta(minutes=5)},
        {"event_id": "v2", "user_id": "u1", "item_id": "i2", "event_at": AS_OF - timedelta(days=3)},
        {"event_id": "v3", "user_id": "u2", "item_id": "i2", "event_at": AS_OF - timedelta(days=30)},
    ]


@few
@given(exposures=exposures, kind=st.sampled_from(["nightly", "hourly"]))
def test_what_was_shown_changes_no_table(new_house, exposures, kind):
    house = new_house()
    house.land("known", interest(), [{"item_id": "i1", "title": "Coat"}])
    house.land("shown", [{**event, "event_id": f"s{n}", "event_type": "exposure"} for n, event in enumerate(exposures)])
    given_vars = {"default_event_weight": 5.0}

    without = house.built(kind, AS_OF.isoformat(), ["known"], vars=given_vars)
    with_shown = house.built(kind, AS_OF.isoformat(), ["known", "shown"], vars=given_vars, new_batches=("shown",))

    assert {name: house.table(with_shown, name) for name in TABLES} == {
        name: house.table(without, name) for name in TABLES
    }


def test_a_click_counts_the_same_with_and_without_a_generation(house):
    click = {"user_id": "u1", "item_id": "i1", "event_type": "click", "event_at": AS_OF - timedelta(minutes=5)}
    house.land("plain", [{**click, "event_id": "c1"}])
    house.land("of_a_night", [{**click, "event_id": "c1", "generation": NIGHT}])

    for kind in ("nightly", "hourly"):
        plain = house.built(kind, AS_OF.isoformat(), ["plain"])
        named = house.built(kind, AS_OF.isoformat(), ["of_a_night"])

        assert [row["event_id"] for row in house.table(named, "user_events")] == ["c1"]
        assert {name: house.table(named, name) for name in TABLES} == {
            name: house.table(plain, name) for name in TABLES
        }


def test_a_weight_for_what_was_shown_stops_the_run(house):
    house.land("known", interest())

    with pytest.raises(warehouse.WarehouseError, match="exposures_are_no_signal"):
        house.built("nightly", AS_OF.isoformat(), ["known"], vars={"event_type_weights": {"exposure": 0.1}})


def test_only_published_rows_are_joined_whatever_an_event_names(house, write_rows, tmp_path):
    outside = tmp_path / "outside.parquet"
    row = {"generation": NIGHT, "user_id": "u1", "item_id": "i1", "rank": 1, "model_version": "m"}
    for file in (house.root / "serving" / "shown" / f"{NIGHT}.parquet", outside):
        write_rows(file, contracts.SHOWN, [{**row, "candidate_sources": ["popular"]}])
    house.land("known", interest())
    names = [NIGHT, str(outside.with_suffix("")), "it's", "20240430T000000Z-nightly-00000000"]
    house.land(
        "shown",
        [
            {"user_id": "u1", "item_id": "i1", "event_type": kind, "event_at": at, "generation": name}
            for name in names
            for kind, at in (("exposure", AS_OF - timedelta(hours=2)), ("click", AS_OF - timedelta(hours=1)))
        ]
        + [
            {"user_id": "u1", "item_id": "i1", "event_type": "exposure", "event_at": AS_OF, "generation": "too early"},
        ],
    )
    run = house.built("nightly", AS_OF.isoformat(), ["known", "shown"])
    write_rows(run.scored / "part-00000.parquet", contracts.SCORED, [])

    warehouse.build_marts(run, house.settings)

    counted = {row["subject"]: (row["exposures"], row["clicks"]) for row in house.table(run, "click_through")}
    assert counted == {
        **dict.fromkeys(["all", NIGHT, "m", "rank 1", "source popular"], (1, 1)),
        **dict.fromkeys([f"{NIGHT}/rank 1", f"{NIGHT}/source popular"], (1, 1)),
        "unknown generation": (3, 3),
    }
