"""What each generation recommended stays for some days, and the figures of what was shown enter quality_metrics."""

from __future__ import annotations

import duckdb

from tideline.contracts import SHOWN
from tideline.serving import publish
from tideline.serving.shown import shown_files


def kept(room) -> list[str]:
    return sorted(file.stem for file in (room.serving / "shown").glob("*.parquet"))


def test_a_commit_keeps_what_its_own_layer_recommends(room):
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 2}, top=2)
    hour = room.make_run("hourly", room.at(1), {"a": 5}, top=1, base=night.run_id)
    for run in (night, hour):
        publish(run, room.settings)

    files = shown_files(room.settings.root, [night.generation, hour.generation, "../../current", "nobody's"])
    rows = duckdb.execute("select * from read_parquet($1) order by all", [[str(file) for file in files]])
    assert [column[0] for column in rows.description] == [column.name for column in SHOWN]
    assert rows.fetchall() == [
        (night.generation, "a", "item1", 1, ["popular"], "model"),
        (night.generation, "a", "item2", 2, ["popular"], "model"),
        (night.generation, "b", "item1", 1, ["popular"], "model"),
        (night.generation, "b", "item2", 2, ["popular"], "model"),
        (hour.generation, "a", "item1", 1, ["popular"], "model"),
    ]


def test_it_goes_after_its_days_but_not_before_its_snapshot(make_room):
    room = make_room(keep_generations=2, keep_shown_days=4)
    nights = [room.make_run("nightly", room.at(24 * day), {"a": day + 1}) for day in range(8)]
    for night in nights:
        publish(night, room.settings)
    assert kept(room) == [night.generation for night in nights[3:]]

    # An hour long after the last night: the layers that it keeps serving, and the kept snapshots, can still be shown.
    notes = room.serving / "shown" / "notes.parquet"
    notes.write_text("not ours")
    hour = room.make_run("hourly", room.at(24 * 100), {"b": 1}, base=nights[-1].run_id)
    publish(hour, room.settings)
    assert kept(room) == [nights[-2].generation, nights[-1].generation, hour.generation, "notes"]


def test_the_figures_enter_quality_metrics_of_their_night(room):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    with duckdb.connect(str(night.warehouse)) as connection:
        connection.execute("insert into click_through values ('all', 4, 1, 0, 0.25), ('rank 9', 0, 0, 2, null)")
    publish(night, room.settings)
    publish(room.make_run("hourly", room.at(1), {"a": 5}, base=night.run_id), room.settings)

    assert room.ask(
        "select metric, subject, value, generation from quality_metrics "
        "where subject in ('all', 'rank 9') order by subject, metric"
    ) == [
        ("click_through_rate", "all", 0.25, night.generation),
        ("clicks", "all", 1, night.generation),
        ("exposures", "all", 4, night.generation),
        ("clicks", "rank 9", 0, night.generation),
        ("clicks_without_exposure", "rank 9", 2, night.generation),
        ("exposures", "rank 9", 0, night.generation),
    ]
