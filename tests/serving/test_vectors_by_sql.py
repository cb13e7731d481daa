"""Vectors in the SQL prompt: joined and searched, by reading only, and gone without a trace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings.store import read_table
from embeddings.vector_files import to_column
from tideline.commands.sql import run_sql
from tideline.contracts import ITEM_VECTORS, USER_VECTORS
from tideline.serving import connect, publish
from tideline.serving.vector_reader import VECTOR_TABLES, vector_reader

MODEL = "tiny@0/2"
README = Path(__file__).resolve().parents[2] / "README.md"
ANGLES = {"item1": 0, "item2": 10, "item3": 40, "item4": 90, "item5": 180}


def unit(degrees):
    radians = np.radians(np.asarray(degrees, dtype=float))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def write_vectors(run, users, items=ANGLES):
    """Vectors in the plane, each at the angle given; a user with None has none."""
    run.vectors.mkdir(parents=True, exist_ok=True)
    has = np.array([angle is not None for angle in users.values()])
    column = to_column(unit([angle or 0 for angle in users.values()]), has)
    numbers = pa.array([0.5] * len(users), pa.float64())
    table = {"user_id": pa.array(list(users)), **dict.fromkeys(("long", "short", "fused"), column)}
    table |= dict.fromkeys(("gate", "long_norm", "short_norm", "fused_norm"), numbers)
    table["as_of"] = pa.array([run.window.as_of.replace(tzinfo=None)] * len(users), pa.timestamp("us"))
    table["model"] = pa.array([MODEL] * len(users))
    pq.write_table(pa.table(table), run.vectors / "user_vectors.parquet")
    table = {"item_id": pa.array(list(items)), "vector": to_column(unit(list(items.values())))}
    table["model"] = pa.array([MODEL] * len(items))
    pq.write_table(pa.table(table), run.vectors / "item_vectors.parquet")


@pytest.fixture
def published(room):
    """A night for two users, then an hour for one of them, whose vector turns by 60 degrees."""
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 2})
    write_vectors(night, {"a": 30, "b": None})
    hour = room.make_run("hourly", room.at(1), {"a": 3})
    write_vectors(hour, {"a": 90})
    for run in (night, hour):
        publish(run, room.settings)
    return room, night, hour


def ask(room, text, generation=None):
    with vector_reader(room.settings, generation) as read:
        return [relation.fetchall() for relation in read(text)][-1]


def files_below(folder):
    return {
        path: (sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


NEAREST_OF_A = (
    "select item_id, round(similarity, 3) from nearest_items((select fused from user_vectors where user_id = 'a'))"
)


def test_nearest_items_of_a_user_are_those_of_the_generation_asked_for(published):
    room, night, _ = published
    turned = [("item4", 1.0), ("item3", 0.643), ("item2", 0.174), ("item1", 0.0), ("item5", 0.0)]
    found = ask(room, NEAREST_OF_A)
    assert [(item, pytest.approx(value, abs=1e-3)) for item, value in turned] == found
    assert [item for item, _ in ask(room, NEAREST_OF_A, night.generation)] == [
        "item3",
        "item2",
        "item1",
        "item4",
        "item5",
    ]


def test_nearest_items_of_an_item_as_many_as_asked_and_none_for_the_unknown(published):
    room, *_ = published
    query = "select item_id from nearest_items((select vector from item_vectors where item_id = '{}'), k := {})"
    assert ask(room, query.format("item2", 3)) == [("item2",), ("item1",), ("item3",)]
    assert ask(room, query.format("nobody", 3)) == []
    assert ask(room, "from nearest_items((select fused from user_vectors where user_id = 'b'))") == []
    assert ask(room, "select item_id from nearest_items([0, 5], k := 1)") == [("item4",)]


def test_recommendations_join_both_vectors(published):
    room, *_ = published
    query = """
        select rank, array_inner_product(u.fused, i.vector) from recommendations
        join user_vectors u using (user_id) join item_vectors i using (item_id) where user_id = 'a' order by rank"""
    wanted = [(1, 0.0), (2, np.sin(np.radians(10))), (3, np.sin(np.radians(40)))]
    assert ask(room, query) == [(rank, pytest.approx(value, abs=1e-6)) for rank, value in wanted]


def test_the_tables_are_those_of_the_store(published):
    room, night, _ = published
    for name in VECTOR_TABLES:
        stored = [tuple(row.values()) for row in read_table(room.settings, MODEL, name, night.generation).to_pylist()]
        with vector_reader(room.settings, night.generation) as read:
            (found,) = [relation.to_arrow_table().to_pylist() for relation in read(f"from {name} order by all")]
        assert [tuple(row.values()) for row in found] == sorted(stored, key=lambda row: row[0])


def test_vector_tables_are_told_beside_the_others(published, capsys):
    room, *_ = published
    assert run_sql(room.settings, ".tables", None) == 0
    out = capsys.readouterr().out
    assert all(name in out and table.comment in out for name, table in VECTOR_TABLES.items())
    for name, columns in (("user_vectors", USER_VECTORS), ("item_vectors", ITEM_VECTORS)):
        assert run_sql(room.settings, f".columns {name}", None) == 0
        out = capsys.readouterr().out
        assert all(column.name in out and column.comment in out for column in columns)
        assert [column for column, *_ in ask(room, f"describe {name}")] == [column.name for column in columns]
    assert run_sql(room.settings, ".help", None) == 0
    assert "nearest_items" in capsys.readouterr().out


WRITES = [
    "insert into item_vectors from item_vectors",
    "insert into vectors.main.item_vectors from item_vectors",
    "insert into items (item_id) select item_id from item_vectors",
    "update vectors.main.user_vectors set gate = 1",
    "delete from item_vectors",
    "delete from vectors.main.item_vectors",
    "with gone as (select item_id from item_vectors) delete from items",
    "with gone as (delete from vectors.main.item_vectors returning item_id) from gone",
    "merge into vectors.main.item_vectors t using items s on t.item_id = s.item_id when matched then delete",
    "truncate vectors.main.item_vectors",
    "drop table vectors.main.item_vectors",
    "drop view item_vectors",
    "alter table vectors.main.user_vectors drop column gate",
    "create table mine as from item_vectors",
    "create or replace macro nearest_items(a) as table select 1",
    "copy item_vectors to '{folder}/out.csv'",
    "copy (from item_vectors) to '{folder}/out.lance' (format lance)",
    "copy (from item_vectors) to '{snapshot}'",
    "export database '{folder}/item_vectors'",
    "attach '{store}' as item_vectors (type lance)",
    "attach '{snapshot}' as item_vectors",
    "detach vectors /* item_vectors */",
    "use vectors /* item_vectors */",
    "set threads = 1 /* item_vectors */",
    "reset lock_configuration /* item_vectors */",
    "set variable item_vectors = 1",
    "pragma database_size /* item_vectors */",
    "pragma import_database('item_vectors')",
    "call enable_logging() /* item_vectors */",
    "install httpfs /* item_vectors */",
    "load httpfs /* item_vectors */",
    "prepare item_vectors as select 1",
    "begin /* item_vectors */",
    "checkpoint /* item_vectors */",
    "explain analyze delete from vectors.main.item_vectors",
    "explain delete from vectors.main.item_vectors",
    "pivot item_vectors on model using count(*)",
    "optimize vectors.main.item_vectors",
    "vacuum lance '{store}/item_vectors.lance' with (retain_n_versions = 1)",
    "create index i on '{store}/item_vectors.lance' (item_id) using btree",
    "show indexes on '{store}/item_vectors.lance'",
    "alter table '{store}/item_vectors.lance' unset auto_cleanup",
    # These parse as SELECT.
    "from __lance_truncate_table('vectors', 'main', 'item_vectors')",
    "from __lance_compact_files('{store}/item_vectors.lance', '{{}}')",
    "from __lance_cleanup_old_versions('{store}/item_vectors.lance', '{{}}')",
    "from query('from __lance_truncate_table(''vectors'', ''main'', ''item_vectors'')')",
    "select (select max(x) from QUERY('select 1 as x')) from item_vectors",
    "with q as (from query_table('item_vectors')) from q",
    "select * from item_vectors, lateral (from \"query\"('select 1'))",
    "from json_execute_serialized_sql(json_serialize_sql('from item_vectors'))",
    "select json_serialize_plan('from item_vectors')",
    "select 'from item_vectors'.json_serialize_plan()",
    "select item_id from item_vectors where exists (from enable_logging())",
    "from force_checkpoint(), item_vectors",
    "from lance_vector_search('{store}/item_vectors.lance', 'vector', [1.0, 0.0]::float[2])",
    "from '{store}/item_vectors.lance'",
    "describe '{store}/item_vectors.lance'",
    "summarize '{store}/item_vectors.lance'",
    'from "item_vectors.lance"',
    'from vectors.main."../item_vectors"',
    "from item_vectors, read_text('{snapshot}')",
    "from item_vectors, read_blob('{snapshot}')",
    "from item_vectors, read_csv('/etc/passwd')",
    "from item_vectors, glob('/*')",
    "from item_vectors, '/etc/passwd'",
]
UNKNOWN = [
    "pragma enable_logging /* item_vectors */",
    "select getenv('HOME') from item_vectors",
    "from vectors.main.text_vectors",
    "from room",
]


@pytest.fixture
def guarded(published, tmp_path, monkeypatch):
    """The published room and what writes may name; at the end all of it must be as it was."""
    room, *_ = published
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (store,) = (room.settings.root / "vectors").glob("tiny*")
    unchanged = files_below(tmp_path)
    yield room, {"folder": tmp_path, "snapshot": (room.serving / "current.duckdb").resolve(), "store": store}
    assert files_below(tmp_path) == unchanged
    assert not list((room.settings.root / "vectors" / ".sessions").iterdir())
    assert len(ask(room, "from item_vectors")) == len(ANGLES)


@pytest.mark.parametrize("before", ["", "select count(*) from item_vectors; "], ids=["alone", "after a select"])
def test_what_may_do_more_than_read_is_refused_and_nothing_is_changed(guarded, before):
    room, names = guarded
    with vector_reader(room.settings) as read:
        for write in WRITES:
            answered = 0
            with pytest.raises((ValueError, duckdb.ParserException, duckdb.PermissionException)):
                for _ in read(before + write.format(**names)):
                    answered += 1
            # The whole text is refused: not even the select before it ran.
            assert answered == 0, write
        for unknown in UNKNOWN:
            with pytest.raises(duckdb.CatalogException):
                list(read(before + unknown))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("insert into item_vectors from item_vectors", "INSERT"),
        ("select 1 as one from item_vectors; delete from item_vectors", "DELETE"),
        ("drop table item_vectors", "DROP"),
        ("select 1 as one; copy item_vectors to '{folder}/out.csv'", "COPY"),
    ],
)
def test_the_prompt_says_what_it_refuses(guarded, capsys, text, word):
    room, names = guarded
    assert run_sql(room.settings, text.format(**names), None) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"error: {word} is refused: where vectors are read, only SELECT is taken\n"


@pytest.mark.parametrize(
    "query",
    [
        "values (1), (2) -- item_vectors",
        "from item_vectors; -- ; drop table items",
        "with v as materialized (from item_vectors) select count(*) from v, range(3)",
        "select unnest(fused) from user_vectors",
        "pivot item_vectors on item_id in ('item1') using count(*) group by model",
        "summarize item_vectors",
        "select 'drop table items; copy' as item_vectors",
        "from (describe user_vectors)",
        'select count(*) from "item_vectors" i semi join items using (item_id)',
    ],
)
def test_what_only_reads_is_answered(published, query):
    assert ask(published[0], query)


def test_a_table_of_an_error_in_the_middle_leaves_nothing(published, capsys):
    room, *_ = published
    assert run_sql(room.settings, "from item_vectors limit 1; select error('stop') from item_vectors", None) == 1
    assert "stop" in capsys.readouterr().err
    assert not list((room.settings.root / "vectors" / ".sessions").iterdir())


def test_generations_without_vectors_say_so_and_answer_the_rest(room, capsys):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    publish(night, room.settings)
    assert run_sql(room.settings, "from item_vectors", None) == 1
    assert f"generation {night.generation} has no vectors" in capsys.readouterr().err
    assert run_sql(room.settings, "select count(*) from items", None) == 0


def test_vectors_that_are_gone_are_told_and_the_rest_is_answered(published, capsys):
    room, night, _ = published
    for tag in (room.settings.root / "vectors").rglob(f"{night.generation}.json"):
        tag.unlink()
    assert run_sql(room.settings, "from item_vectors", night.generation) == 1
    assert "no longer kept" in capsys.readouterr().err
    assert run_sql(room.settings, "select count(*) from recommendations", night.generation) == 0
    assert run_sql(room.settings, "select count(*) from item_vectors", None) == 0


def test_nothing_published_makes_no_folder(room, capsys):
    assert run_sql(room.settings, "from item_vectors", None) == 1
    assert "make run" in capsys.readouterr().err
    assert not room.settings.root.exists()


def test_open_reader_keeps_its_generation_while_others_are_published(make_room):
    room = make_room(keep_generations=2)
    publish_night(room, 0)
    with vector_reader(room.settings) as read, connect(room.settings) as plain:
        for day in range(1, 5):
            publish_night(room, day)
        (found,) = read(
            "select generation, array_inner_product(fused, [1, 0]::float[2]) from user_interests "
            "join user_vectors using (user_id)"
        )
        assert found.fetchall() == [(plain.execute("select generation from user_interests").fetchone()[0], 1.0)]


def publish_night(room, day):
    night = room.make_run("nightly", room.at(24 * day), {"a": day + 1})
    write_vectors(night, {"a": 10 * day})
    publish(night, room.settings)


def test_a_query_that_needs_more_memory_than_there_is_fails_and_writes_nothing(make_room, capsys):
    room = make_room()
    publish_night(room, 0)
    unchanged = files_below(room.settings.root)
    numbered = "select row_number() over (order by random()) r, vector from item_vectors, range(3000000)"
    query = f"select max(r) from ({numbered})"
    assert run_sql(room.settings.model_copy(update={"memory_limit": "50MB"}), query, None) == 1
    assert "TIDELINE_MEMORY_LIMIT" in capsys.readouterr().err
    assert files_below(room.settings.root) == unchanged


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_query_leaves_nothing_for_longer_than_the_next(published, kill):
    room, *_ = published
    sessions = room.settings.root / "vectors" / ".sessions"
    environment = {**os.environ, "TIDELINE_HOME": str(room.settings.root), "TIDELINE_SOURCE": "canonical"}
    slow = "select sum(a.range * b.range) from range(10000000) a, range(10000000) b, item_vectors"
    process = subprocess.Popen([sys.executable, "-m", "tideline", "sql", slow], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not list(sessions.glob("*/*/_versions")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2)  # the session is open by now, and the query runs
        process.send_signal(kill)
        assert process.wait(120) == (130 if kill == signal.SIGINT else -9)
    finally:
        process.kill()
    assert len(list(sessions.iterdir())) == (0 if kill == signal.SIGINT else 1)
    assert ask(room, "from item_vectors limit 1")
    assert list(sessions.iterdir()) == []


def test_the_embedded_reader_knows_no_vectors(published):
    with connect(published[0].settings) as plain, pytest.raises(duckdb.CatalogException):
        plain.execute("from item_vectors")


def test_the_readmes_examples_run(room):
    section = README.read_text().split("### Vectors")[1].split("\n## ")[0]
    examples = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    user = re.search(r"user_id = '(.*?)'", section)[1]
    item = re.search(r"item_id = '(.*?)'", section)[1]
    night = room.make_run("nightly", room.at(0), {user: 1})
    write_vectors(night, {user: 30}, {**ANGLES, item: 85})
    publish(night, room.settings)
    joined, of_user, of_item = (ask(room, example) for example in examples)
    assert joined == [
        (rank, "title", pytest.approx(cosine), pytest.approx(cosine))
        for rank, cosine in ((1, 0.866), (2, 0.94), (3, 0.985))
    ]
    # Joined with `items`, which does not know the sixth.
    assert [similarity for _, similarity in of_user] == pytest.approx([0.985, 0.94, 0.866, 0.5])
    assert [similarity for _, similarity in of_item] == pytest.approx([0.996, 0.707, 0.259, 0.087])
