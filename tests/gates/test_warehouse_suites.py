"""Suites `behaviour` and `recommendations`: a sound warehouse passes, each way to break it is caught by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.gates import GateError, behaviour, check, recommendations
from tideline.gates.measures import Outcome
from tideline.gates.thresholds import read_limits
from tideline.run import Run

Failures = Callable[[str, Run], Mapping[str, Outcome]]

BEHAVIOUR = {
    "users_in_scope": ("delete from int_users__in_scope; delete from dim_users", 0),
    "users_that_differ_from_scope": ("insert into int_users__in_scope values ('u9')", 1),
    "window_users_out_of_scope": ("update long_window_behaviour set user_id = 'u9' where event_id = 'e1'", 1),
    "events_outside_window": ("update short_window_behaviour set event_at = window_ends_at", 2),
    "events_not_before_as_of": ("update user_events set event_at = '2000-11-23' where event_id = 'e5'", 1),
    "weights_not_positive": ("update long_window_behaviour set weight = 0 where user_id = 'u2'", 2),
    "decay_out_of_range": ("update short_window_behaviour set decay_weight = 1.5 where user_id = 'u1'", 1),
    "duplicate_window_events": ("insert into long_window_behaviour from long_window_behaviour limit 1", 1),
    # u1 has it in the short window, u2 in the long one, and both in their history.
    "events_of_missing_items": ("delete from dim_items where item_id = 'i2'", 4),
}

ROWS = "update nightly_recommendations set"
RECOMMENDATIONS = {
    "recommended_rows": ("delete from nightly_recommendations", 0),
    "rows_of_another_run": (f"{ROWS} generation = 'other' where user_id = 'u1'", 3),
    "users_with_rank_gaps": (f"{ROWS} rank = 7 where user_id = 'u1' and rank = 3", 1),
    "duplicate_items": (f"{ROWS} item_id = 'i4' where user_id = 'u1' and rank = 1", 1),
    "scores_not_finite": (f"{ROWS} score = 'nan' where user_id = 'u1' and rank = 1", 1),
    "scores_rising_with_rank": (f"{ROWS} score = 9, score_parts = [{{'part': 'base', 'value': 9}}] where rank = 2", 3),
    "parts_that_do_not_sum": (f"{ROWS} score_parts = [{{'part': 'base', 'value': 1 + 2e-6}}] where rank = 1", 3),
    "rows_of_users_out_of_scope": (f"{ROWS} user_id = 'u9' where user_id = 'u3'", 3),
    "users_without_rows": ("delete from nightly_recommendations where user_id = 'u3'", 1),
    "users_short_of_rows": ("delete from nightly_recommendations where user_id = 'u3' and rank = 3", 1),
    "citations_of_other_events": (
        f"{ROWS} because = (select because from nightly_recommendations where user_id = 'u2' and rank = 1) "
        "where user_id = 'u1' and rank = 1",
        2,
    ),
    "citations_that_differ": (
        f"{ROWS} because = list_transform(because, lambda e: struct_update(e, item_id := 'i6')) "
        "where user_id = 'u3' and rank = 1",
        1,
    ),
    "citations_not_before_as_of": (
        f"{ROWS} because = list_transform(because, lambda e: struct_update(e, event_at := timestamp '2000-11-23')) "
        "where user_id = 'u3' and rank = 1",
        1,
    ),
    "unknown_items": (f"{ROWS} item_id = 'i9' where user_id = 'u1' and rank = 3", 1),
    "unavailable_items": (f"{ROWS} item_id = 'i6' where user_id = 'u1' and rank = 3", 1),
    "blocked_items": ("update dim_items set is_blocked = true where item_id = 'i1'", 4),
    "seen_items": (f"{ROWS} item_id = 'i1' where user_id = 'u1' and rank = 3", 1),
}


@pytest.mark.parametrize("suite", ["behaviour", "recommendations"])
def test_a_sound_warehouse_passes(made: SimpleNamespace, suite: str, settings: Settings) -> None:
    outcome = check(suite, made.warehouse(made.run(settings.root)), settings)
    assert outcome["warnings"] == 0
    assert outcome["not_measured"] == 0
    assert outcome["expectations"] >= 9


@pytest.mark.parametrize(
    ("suite", "name", "breakage", "rows"),
    [("behaviour", name, *case) for name, case in BEHAVIOUR.items()]
    + [("recommendations", name, *case) for name, case in RECOMMENDATIONS.items()],
)
def test_what_is_broken_is_named(
    made: SimpleNamespace,
    suite: str,
    name: str,
    breakage: str,
    rows: int,
    settings: Settings,
    failures: Failures,
) -> None:
    failed = failures(suite, made.warehouse(made.run(settings.root), breakage))
    assert failed[name].rows == rows


def test_every_expectation_that_can_fail_is_broken_above() -> None:
    for suite, module, broken in (
        ("behaviour", behaviour, BEHAVIOUR),
        ("recommendations", recommendations, RECOMMENDATIONS),
    ):
        limits = read_limits(suite, "canonical", {measure.name for measure in module.MEASURES})
        assert {name for name, levels in limits.items() if "fail" in levels} == set(broken)


def test_a_break_fails_only_what_it_breaks(made: SimpleNamespace, settings: Settings, failures: Failures) -> None:
    run = made.warehouse(made.run(settings.root), RECOMMENDATIONS["unavailable_items"][0])
    assert set(failures("recommendations", run)) == {"unavailable_items"}


def test_the_error_says_what_to_look_at(made: SimpleNamespace, settings: Settings) -> None:
    run = made.warehouse(made.run(settings.root), RECOMMENDATIONS["seen_items"][0])
    with pytest.raises(GateError) as caught:
        check("recommendations", run, settings)
    message = str(caught.value)
    page = settings.root / "data_docs" / run.run_id / "recommendations.html"
    for part in ("gate recommendations", "seen_items", "observed 1", "expected at most 0", "1 rows", str(page)):
        assert part in message


@pytest.mark.parametrize("module", [behaviour, recommendations])
def test_every_query_to_look_further_runs(made: SimpleNamespace, module: object, settings: Settings) -> None:
    run = made.warehouse(made.run(settings.root))
    for measure in module.MEASURES:  # type: ignore[attr-defined]
        with duckdb.connect() as connection:
            connection.execute(module.look_further(measure, run))  # type: ignore[attr-defined]


def test_the_query_shows_the_rows_concerned(made: SimpleNamespace, settings: Settings, failures: Failures) -> None:
    run = made.warehouse(made.run(settings.root), RECOMMENDATIONS["citations_of_other_events"][0])
    query = failures("recommendations", run)["citations_of_other_events"].query
    with duckdb.connect() as connection:
        assert {row[1] for row in connection.execute(query).fetchall()} == {"e3", "e4"}


CITED_BY_U3 = (
    f"{ROWS} because = list_transform(because, lambda e: struct_update(e, {{}})) where user_id = 'u3' and rank = 1"
)


@pytest.mark.parametrize(
    ("breakage", "names"),
    [
        (CITED_BY_U3.format("event_id := 'e99'"), {"citations_of_other_events"}),  # invented
        (CITED_BY_U3.format("event_id := 'e1'"), {"citations_of_other_events"}),  # of another user
        # At as_of: the warehouse knows no such event, whatever time the row tells.
        ("delete from int_events__in_scope where event_id = 'e5'", {"citations_of_other_events"}),
        (
            CITED_BY_U3.format("event_at := timestamp '2000-11-23'"),
            {"citations_not_before_as_of", "citations_that_differ"},
        ),
        (CITED_BY_U3.format("event_at := null::timestamp"), {"citations_not_before_as_of", "citations_that_differ"}),
        (CITED_BY_U3.format("event_at := timestamp '2000-11-22'"), {"citations_that_differ"}),
        (CITED_BY_U3.format("item_id := 'i1'"), {"citations_that_differ"}),
        (CITED_BY_U3.format("item_id := null::varchar"), {"citations_that_differ"}),
        (CITED_BY_U3.format("event_type := 'view'"), {"citations_that_differ"}),
    ],
)
def test_a_citation_must_tell_of_an_event_as_it_was(
    made: SimpleNamespace, breakage: str, names: set[str], settings: Settings, failures: Failures
) -> None:
    failed = failures("recommendations", made.warehouse(made.run(settings.root), breakage))
    assert set(failed) == names
    with duckdb.connect() as connection:
        for outcome in failed.values():
            shown = connection.execute(outcome.query).fetchall()
            connection.execute("use memory; detach warehouse")
            assert len(shown) == outcome.rows


def test_an_hour_without_anybody_passes(made: SimpleNamespace, settings: Settings) -> None:
    emptied = "".join(
        f"delete from {table};"
        for table in (
            "int_users__in_scope",
            "dim_users",
            "long_window_behaviour",
            "short_window_behaviour",
            "user_events",
        )
    )
    run = made.warehouse(made.run(settings.root, "hourly", base="nightly-20001122T000000Z-0123abcd"), emptied)
    assert check("behaviour", run, settings)["not_measured"] == 1
    assert check("recommendations", run, settings)["not_measured"] == 3


def test_where_repeats_are_allowed_seen_items_are_no_fault(made: SimpleNamespace, settings: Settings) -> None:
    breakage = f"update run_settings set repeats_allowed = true; {RECOMMENDATIONS['seen_items'][0]}"
    assert check("recommendations", made.warehouse(made.run(settings.root), breakage), settings)["warnings"] == 0


def test_a_capped_list_may_be_shorter(made: SimpleNamespace, settings: Settings) -> None:
    capped = "update run_settings set category_cap = 2; delete from nightly_recommendations where rank = 3"
    assert check("recommendations", made.warehouse(made.run(settings.root), capped), settings)["warnings"] == 0


def test_a_capped_list_is_not_shorter_than_the_cap(
    made: SimpleNamespace, settings: Settings, failures: Failures
) -> None:
    capped = "update run_settings set category_cap = 2; delete from nightly_recommendations where rank > 1"
    run = made.warehouse(made.run(settings.root), capped)
    assert set(failures("recommendations", run)) == {"users_short_of_rows"}


def test_blocked_items_are_not_missed(made: SimpleNamespace, settings: Settings) -> None:
    gone = (
        "update dim_items set is_blocked = true where item_id in "
        "(select item_id from nightly_recommendations where rank = 3);"
        "delete from nightly_recommendations where item_id in (select item_id from dim_items where is_blocked);"
        "delete from popular_recommendations; delete from popular_by_category"
    )
    assert check("recommendations", made.warehouse(made.run(settings.root), gone), settings)["warnings"] == 2


def test_a_user_for_whom_no_item_is_left_needs_no_rows(made: SimpleNamespace, settings: Settings) -> None:
    breakage = (
        "insert into user_events select 'u3', item_id, 'e5', timestamp '2000-01-01' from dim_items;"
        "delete from nightly_recommendations where user_id = 'u3'"
    )
    assert check("recommendations", made.warehouse(made.run(settings.root), breakage), settings)["warnings"] == 0


def test_a_list_is_compared_with_its_own_settings(
    made: SimpleNamespace, settings: Settings, failures: Failures
) -> None:
    run = made.warehouse(made.run(settings.root), "update run_settings set top_k = 2")
    assert failures("recommendations", run)["users_with_rank_gaps"].rows == 3


def test_a_missing_table_is_an_error_not_a_verdict(made: SimpleNamespace, settings: Settings) -> None:
    with pytest.raises(Exception, match="dim_users"):
        check("behaviour", made.warehouse(made.run(settings.root), "drop table dim_users"), settings)
    assert not (settings.root / "data_docs").exists()


def test_data_docs_are_written_and_hold_no_personal_text(made: SimpleNamespace, settings: Settings) -> None:
    run = made.warehouse(made.run(settings.root), RECOMMENDATIONS["duplicate_items"][0])
    check("behaviour", run, settings)
    with pytest.raises(GateError):
        check("recommendations", run, settings)
    folder = settings.root / "data_docs" / run.run_id
    assert {file.name for file in folder.iterdir()} == {
        f"{suite}.{ending}" for suite in ("behaviour", "recommendations") for ending in ("html", "json")
    }
    for file in folder.iterdir():
        text = file.read_text()
        assert made.private not in text
        assert "Title 1" not in text
        assert "http://" not in text
        assert "https://" not in text
    page = (folder / "recommendations.html").read_text()
    assert "an item is at most once in a user&#39;s list" in page or "an item is at most once in a user's list" in page
    assert "Failed" in page
    record = json.loads((folder / "recommendations.json").read_text())
    assert [one["expectation"] for one in record["outcomes"] if not one["passed"]] == ["duplicate_items"]
    assert not record["passed"]


def test_a_second_check_replaces_the_page_and_leaves_other_runs_alone(
    made: SimpleNamespace, settings: Settings
) -> None:
    first = made.warehouse(made.run(settings.root))
    second = made.warehouse(made.run(settings.root, run_id="nightly-20001123T000000Z-ffffffff"))
    for run in (first, second, first):
        check("behaviour", run, settings)
    pages = sorted(Path(settings.root, "data_docs").glob("*/*.html"))
    assert [page.parent.name for page in pages] == [first.run_id, second.run_id]
