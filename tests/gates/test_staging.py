"""Suite `staging`: what came in, and the two levels of a limit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.gates import check, staging
from tideline.gates.measures import Outcome
from tideline.run import Run

Failures = Callable[[str, Run], Mapping[str, Outcome]]


def test_a_sound_intake_passes(made: SimpleNamespace, root: Path, settings: Settings) -> None:
    outcome = check("staging", made.run(root), settings)
    assert (outcome["warnings"], outcome["warned"]) == (0, "")


@pytest.mark.parametrize(
    ("name", "record", "rows"),
    [
        ("files_that_do_not_add_up", {"rows_read": 11}, 1),
        ("files_that_differ_from_lake", {"events": 4}, 1),
        ("quarantined_share", {"rows_read": 20, "quarantined": 15, "reasons": {"user_id_missing": 15}}, 15),
    ],
)
def test_what_does_not_add_up_fails(
    made: SimpleNamespace,
    name: str,
    record: dict[str, object],
    rows: int,
    root: Path,
    settings: Settings,
    failures: Failures,
) -> None:
    made.batch(root, "broken", events=made.events, record=record)
    failed = failures("staging", made.run(root, batches=("events-1", "items-1", "broken"), new_batches=("broken",)))
    assert set(failed) == {name}
    assert failed[name].rows == rows


def test_a_night_without_events_fails(made: SimpleNamespace, root: Path, failures: Failures) -> None:
    assert set(failures("staging", made.run(root, batches=("items-1",)))) == {"events"}
    assert set(failures("staging", made.run(root, batches=()))) == {"events"}


def test_events_that_are_not_due_are_no_volume(made: SimpleNamespace, root: Path, failures: Failures) -> None:
    made.batch(root, "future", events=[("e9", "u1", "i1", "rating", "2000-11-23 00:00", 1.0, None)])
    assert set(failures("staging", made.run(root, batches=("future",)))) == {"events"}


def test_an_hour_with_nothing_new_passes(made: SimpleNamespace, root: Path, settings: Settings) -> None:
    outcome = check("staging", made.run(root, "hourly", base="nightly-20001122T000000Z-0123abcd"), settings)
    assert outcome["warnings"] == 0
    assert outcome["not_measured"] == 7


def test_an_hour_is_judged_on_what_is_new(made: SimpleNamespace, root: Path, failures: Failures) -> None:
    made.batch(root, "bad", events=made.events[:1], record={"rows_read": 10, "quarantined": 9})
    run = made.run(root, "hourly", base="nightly-20001122T000000Z-0123abcd", batches=("events-1", "items-1", "bad"))
    assert set(failures("staging", Run(**{**vars(run), "new_batches": ("bad",)}))) == {"quarantined_share"}


EVENT = ("e9", "u1", "i1", "rating", "2000-11-22", 1.0, None)
WARNINGS: dict[str, tuple[list[tuple], dict[str, Any]]] = {
    "unreadable_files": ([], {"rows_read": 0, "reasons": {"unreadable_file": 1}}),
    "quarantined_share": ([EVENT], {"rows_read": 2, "quarantined": 1, "reasons": {"user_id_missing": 1}}),
    "duplicate_share": ([EVENT, EVENT], {}),
    "unknown_item_share": ([(*EVENT[:2], "i99", *EVENT[3:])], {}),
    "unknown_type_share": ([(*EVENT[:3], "poke", *EVENT[4:])], {}),
    "newest_event_age_days": ([(*EVENT[:4], "2000-11-01", *EVENT[5:])], {}),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_logged_and_returned_and_stops_nothing(
    made: SimpleNamespace, name: str, root: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    events, record = WARNINGS[name]
    made.batch(root, "odd", events=events, record=record)
    # The items alone beside it, so that the age is that of the odd batch's events.
    run = made.run(root, "hourly", batches=("items-1", "odd"), new_batches=("odd",))
    with caplog.at_level(logging.WARNING, logger="tideline.gates"):
        outcome = check("staging", run, settings)
    assert outcome["warnings"] == 1
    assert f"({name})" in str(outcome["warned"])
    assert f"({name})" in caplog.text


def test_items_without_titles_are_a_warning(made: SimpleNamespace, root: Path, settings: Settings) -> None:
    made.batch(root, "bare", items=[(item_id, None, until) for item_id, _, until in made.items])
    assert "null_title_share" in str(check("staging", made.run(root, new_batches=("bare",)), settings)["warned"])


def test_without_item_files_no_item_is_unknown(made: SimpleNamespace, root: Path, settings: Settings) -> None:
    outcome = check("staging", made.run(root, batches=("events-1",)), settings)
    assert outcome["warnings"] == 0
    assert outcome["not_measured"] == 2


def test_a_type_with_a_weight_of_the_run_is_known(made: SimpleNamespace, root: Path, settings: Settings) -> None:
    made.batch(root, "odd", events=WARNINGS["unknown_type_share"][0])
    known = {"event_type_weights": {"poke": 0.5}}
    run = made.run(root, "hourly", batches=("items-1", "odd"), new_batches=("odd",), vars=known)
    assert check("staging", run, settings)["warnings"] == 0


def test_every_query_to_look_further_runs(made: SimpleNamespace, root: Path) -> None:
    for measure in staging.MEASURES:
        with duckdb.connect() as connection:
            connection.execute(staging.look_further(measure, made.run(root)))


def test_limits_of_a_source_win(made: SimpleNamespace, root: Path, settings: Settings, failures: Failures) -> None:
    # A search has no value: fine for the canonical source, a fault in a file of ratings.
    assert set(failures("staging", made.run(root, source="movielens_1m"))) == {"null_value_share"}
