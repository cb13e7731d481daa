"""The SQL prompt, one-shot and piped."""

from __future__ import annotations

import io

import pytest

from tideline.commands.sql import run_sql
from tideline.serving import publish


@pytest.fixture
def published(room):
    run = room.make_run("nightly", room.at(0), {"a": 1})
    publish(run, room.settings)
    publish(room.make_run("hourly", room.at(1), {"a": 5}), room.settings)
    return room, run


def test_query_prints_a_table_of_the_generation_asked_for(published, capsys):
    room, night = published
    query = "select user_id, score from recommendations where rank = 1"
    assert run_sql(room.settings, query, None) == 0
    assert "5.0" in capsys.readouterr().out
    assert run_sql(room.settings, query, night.generation) == 0
    assert "1.0" in capsys.readouterr().out


def test_tables_and_columns_are_told_with_their_comments(published, capsys):
    room, _ = published
    assert run_sql(room.settings, ".tables", None) == 0
    out = capsys.readouterr().out
    assert "recommendations" in out and "Grain: one user and rank." in out
    assert run_sql(room.settings, ".columns user_interests", None) == 0
    out = capsys.readouterr().out
    assert "gate" in out and "The first column." in out


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("select * from nothing_such", ".tables lists the tables"),
        ("copy items to '/tmp/never.csv'", "can only read the published tables"),
        ("drop table items", "can only read the published tables"),
        ("selec 1", "syntax error"),
        (".columns nothing_such", "no table 'nothing_such'"),
        (".columns", ".help"),
    ],
)
def test_errors_say_what_to_do(published, capsys, query, says):
    assert run_sql(published[0].settings, query, None) == 1
    assert says in capsys.readouterr().err


def test_piped_statements_are_answered_in_turn(published, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("select 41 + 1 as first;\nselect 'later' as second;\n"))
    assert run_sql(published[0].settings, None, None) == 0
    out = capsys.readouterr().out
    assert out.index("42") < out.index("later")


def test_nothing_published_yet(room, capsys):
    assert run_sql(room.settings, "select 1", None) == 1
    assert "make run" in capsys.readouterr().err
