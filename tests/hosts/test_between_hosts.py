"""A night and an hour whose stages take turns on two hosts that share nothing but the store, as on one machine."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings, load_settings
from end_to_end.shop import AS_OF, write_shop
from tideline.cluster.layout import Cluster
from tideline.hosts.objects import Objects, open_objects
from tideline.walk import walk
from tideline.window import parse_instant, window_ending

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
WINDOWS = [
    window_ending("nightly", parse_instant("2024-03-01")),
    window_ending("hourly", parse_instant("2024-03-01T01")),
]
OF_THE_CLOCK = {
    "run_history": ("committed_at", "seconds", "stages", "fence"),
    "intake": ("landed_at",),
}
"""What differs from one time to the next: moments, durations, and fencing numbers."""


@contextmanager
def published(cluster: Cluster, url: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """What a reader sees: the query of docs/deploy.md, over httpfs, with the reader's credentials."""
    extension = Path(str(files("duckdb_extension_httpfs"))) / "extensions" / f"v{duckdb.__version__}"
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute(f"load '{extension / 'httpfs.duckdb_extension'}'")
        connection.execute(
            "create secret (type s3, key_id 'reader', secret "
            f"'{cluster.secrets['reader_key']}', endpoint '{cluster.store_endpoint.removeprefix('http://')}', "
            "url_style 'path', use_ssl false)"
        )
        (snapshot,) = connection.execute(
            f"select snapshot from read_json('{url}/refs/serving.json', columns = {{snapshot: 'varchar'}})"
        ).fetchone()
        connection.execute(f"attach '{snapshot}' as tideline (read_only)")
        yield connection


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    write_shop(folder, AS_OF)
    return folder


def upload(objects: Objects, landing: Path) -> None:
    for file in landing.rglob("*"):
        if file.is_file():
            objects.put_file(f"landing/{file.relative_to(landing).as_posix()}", file)


def test_two_hosts_give_the_tables_of_one_machine(
    cluster: Cluster, reached: Objects, landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(reached, landing)
    homes = [tmp_path / "one", tmp_path / "other"]
    turns = itertools.cycle(homes)
    for window in WINDOWS:
        walk(window, "a test", before=lambda stage: monkeypatch.setenv("TIDELINE_HOME", str(next(turns))))
        for home in homes:
            wrong = [
                file.name
                for file in (home / "cache" / "objects").glob("blobs_*")
                if hashlib.sha256(file.read_bytes()).hexdigest() != file.name.rsplit("_", 1)[-1]
            ]
            assert not wrong, "a stage has written into what the worker keeps of the store"
            assert list((home / "work").iterdir()) == [], "a stage leaves no folder behind"
        shutil.rmtree(homes[0])  # a host that is lost, and one in its place, between two runs

    # A repeated publication, on whichever host, changes nothing.
    before = reached.read_ref("serving")
    walk(WINDOWS[0], "a test", first="publish", before=lambda stage: monkeypatch.setenv("TIDELINE_HOME", str(homes[0])))
    assert reached.read_ref("serving").values["snapshot"] == before.values["snapshot"]

    url = f"{load_settings().store}/canonical"
    monkeypatch.delenv("TIDELINE_STORE")
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path / "embedded"))
    monkeypatch.setenv("TIDELINE_LANDING", str(landing))
    for window in WINDOWS:
        walk(window, "a test")
    with published(cluster, url) as connection:
        alone = (tmp_path / "embedded" / "serving" / "current.duckdb").resolve()
        connection.execute(f"attach '{alone}' as alone (read_only)")
        tables = [
            name
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where database_name = 'alone' order by 1"
            ).fetchall()
        ]
        assert "nightly_recommendations" in tables and "hourly_recommendations" in tables
        for table in tables:
            left_out = ", ".join(OF_THE_CLOCK.get(table, ()))
            columns = f"* exclude ({left_out})" if left_out else "*"
            kept = "where unit is distinct from 's'" if table == "quality_metrics" else ""
            rows = [
                sorted(connection.execute(f"select {columns} from {database}.{table} {kept}").fetchall(), key=repr)
                for database in ("tideline", "alone")
            ]
            assert rows[0] == rows[1], table
            assert rows[0] or table == "quarantine_summary", table


def test_the_later_of_two_intakes_of_one_file_takes_the_batch_of_the_first(
    reached: Objects, landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tideline import intake, stages
    from tideline.run import name_run

    upload(reached, landing)
    for token in ("a", "b"):
        walk(
            WINDOWS[0], token, last="open_run", before=lambda stage: monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
        )
    overtake = iter([True])

    first, second = (name_run(WINDOWS[0], token) for token in ("a", "b"))
    real = intake.take_in

    def slower(settings: Settings) -> dict[str, int]:
        counts = real(settings)
        if next(overtake, False):
            monkeypatch.setenv("TIDELINE_HOME", str(tmp_path / "second"))
            stages.take_in(second)
        return counts

    monkeypatch.setattr(intake, "take_in", slower)
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path / "first"))
    assert stages.take_in(first)["batches"] == 0, "it was done again, and found the other's batches"
    objects = open_objects(load_settings())
    assert len(objects.list_refs("lake")) == 2
