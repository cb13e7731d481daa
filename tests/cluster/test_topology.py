"""A night and two hours on a whole cluster while its parts are killed: the tables of one machine, nothing twice.

`make test-cluster` runs it. Every worker has a home of its own; the first warehouse worker's is emptied between runs.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import duckdb
import psutil
import pytest
from backing_services import install_or_skip
from cluster.driving import (
    AS_OF,
    NEVER,
    Driver,
    at_work,
    kill,
    pause,
    store_of,
    wait_for,
    walk_alone,
    write_slice,
)  # fmt: skip

from embeddings.settings import Settings
from tideline.airflow_home import passed_on
from tideline.cluster.layout import Cluster, open_cluster
from tideline.commands.cluster import down

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
NIGHT, HOUR = "nightly_recommendations", "hourly_recommendations"
WAREHOUSE, GPU = ("warehouse-1", "warehouse-2"), ("gpu-1", "gpu-2")
OF_THE_CLOCK = {"run_history": "committed_at, seconds, stages, fence", "intake": "landed_at"}
"""What differs from one time to the next."""
AWAY_SECONDS = 30


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="tideline-cluster-"))  # not below pytest's: Postgres' user must reach it
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    schedules = dict.fromkeys((f"{kind}_schedule" for kind in ("nightly", "hourly", "training", "maintenance")), NEVER)
    return Settings(
        source="ml_latest_small", home=folder / "home", ui_port=random.randrange(20_000, 22_600, 10),
        shard_tokens=8_000, task_retries=4, retry_seconds=10, **schedules,
    )  # fmt: skip


@pytest.fixture(scope="module")
def cluster(folder: Path, settings: Settings, datasets: Path) -> Iterator[Cluster]:
    """A cluster that has a slice of real data in its landing prefix, and a home beside it that does the same alone."""
    install_or_skip()
    settings.root.mkdir(mode=0o711)
    write_slice(datasets, folder / "landing")
    alone = walk_alone(folder / "alone", folder / "landing", settings)
    command = [sys.executable, "-m", "tideline", "cluster", "up"]
    given = {name: value for name, value in passed_on(settings).items() if name != "TIDELINE_LANDING"}
    try:
        import os

        done = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        made = open_cluster(settings.root / "cluster", settings.source, settings.ui_port)
        objects = store_of(made)
        for file in (folder / "landing").iterdir():
            objects.put_file(f"landing/{file.name}", file)
        assert alone.wait(timeout=900) == 0
        yield made
    finally:
        alone.kill()
        down(settings)
        left = [process.pid for process in psutil.process_iter() if str(folder) in _command_of(process)]
        for pid in left:
            psutil.Process(pid).kill()
    assert left == [], "`cluster-down` left processes behind"


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_roles_decide_who_may_do_what(cluster: Cluster) -> None:
    nobody, viewer, operator = (Driver(cluster, person) for person in ("nobody", "viewer", "operator"))
    dags = "/api/v2/dags"
    assert nobody.status("GET", dags) == 401
    wait_for(lambda: operator.ask("GET", dags)["total_entries"] == 4, 120, "DAGs in the database")
    assert viewer.status("GET", dags) == 200
    assert viewer.status("PATCH", f"{dags}/{NIGHT}", {"is_paused": False}) == 403
    assert viewer.status("POST", f"{dags}/{NIGHT}/dagRuns", {"logical_date": None}) == 403
    for dag in (NIGHT, HOUR):
        assert operator.status("PATCH", f"{dags}/{dag}", {"is_paused": False}) == 200
    assert operator.status("GET", "/auth/fab/v1/users") == 403
    assert Driver(cluster, "admin").status("GET", "/auth/fab/v1/users") == 200


def test_a_night_ends_right_though_a_gpu_and_a_warehouse_worker_are_killed(cluster: Cluster) -> None:
    driver = Driver(cluster, "operator")
    run = driver.trigger(NIGHT, AS_OF)
    seconds = {}
    for workers, stage in ((GPU, "embed_shard"), (WAREHOUSE, "build_marts")):
        victim = wait_for(lambda w=workers, s=stage: at_work(cluster, w, s), 900, f"worker in {stage}", poll=0.05)
        kill(cluster, victim)
        shutil.rmtree(cluster.home(victim) / "work")  # what a killed stage had there is of no use to anybody
        killed = time.monotonic()
        wait_for(lambda w=workers, s=stage: at_work(cluster, w, s), 300, f"{stage} again", poll=0.05)
        seconds[stage] = round(time.monotonic() - killed, 1)
    took = driver.wait_until_ended(NIGHT, run, 900)
    print(f"\nnight {took:.1f} s; at work again after the kill: {seconds}")


def test_an_hour_ends_right_though_the_scheduler_is_killed_and_redis_is_away(cluster: Cluster) -> None:
    shutil.rmtree(cluster.home("warehouse-1") / "cache", ignore_errors=True)
    driver = Driver(cluster, "operator")
    run = driver.trigger(HOUR, AS_OF + timedelta(hours=1))
    wait_for(lambda: at_work(cluster, WAREHOUSE, "build_behaviour"), 600, "worker in build_behaviour", poll=0.05)
    kill(cluster, "scheduler")
    killed = time.monotonic()
    wait_for(lambda: at_work(cluster, WAREHOUSE, "rank"), 600, "worker in rank", poll=0.05)
    seconds = time.monotonic() - killed
    pause(cluster, "redis", AWAY_SECONDS)
    took = driver.wait_until_ended(HOUR, run, 900)
    print(f"\nhour {took:.1f} s; from the scheduler's kill to `rank`: {seconds:.1f} s")


def test_an_hour_ends_right_though_the_store_is_away(cluster: Cluster) -> None:
    driver = Driver(cluster, "operator")
    run = driver.trigger(HOUR, AS_OF + timedelta(hours=2))
    wait_for(lambda: at_work(cluster, WAREHOUSE, "build_behaviour"), 600, "worker in build_behaviour", poll=0.05)
    away = threading.Thread(target=pause, args=(cluster, "store", AWAY_SECONDS))
    away.start()
    took = driver.wait_until_ended(HOUR, run, 900)
    away.join()
    print(f"\nhour {took:.1f} s, of which the store was away for {AWAY_SECONDS} s")


def test_the_tables_are_those_of_one_machine(cluster: Cluster, folder: Path) -> None:
    extension = Path(str(files("duckdb_extension_httpfs"))) / "extensions" / f"v{duckdb.__version__}"
    url = f"{cluster.store}/{cluster.source}/refs/serving.json"
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute(f"load '{extension / 'httpfs.duckdb_extension'}'")
        connection.execute(
            f"create secret (type s3, key_id 'reader', secret '{cluster.secrets['reader_key']}', "
            f"endpoint '127.0.0.1:{cluster.port('store')}', url_style 'path', use_ssl false)"
        )
        (snapshot,) = connection.execute(
            f"select snapshot from read_json('{url}', columns = {{snapshot: 'varchar'}})"
        ).fetchone()
        connection.execute(f"attach '{snapshot}' as cluster (read_only)")
        connection.execute(f"attach '{(folder / 'alone/serving/current.duckdb').resolve()}' as alone (read_only)")
        tables = connection.execute("select table_name from duckdb_tables() where database_name = 'alone'").fetchall()
        for (table,) in tables:
            columns = f"* exclude ({OF_THE_CLOCK[table]})" if table in OF_THE_CLOCK else "*"
            kept = "where unit is distinct from 's'" if table == "quality_metrics" else ""
            there, here = (
                sorted(connection.execute(f"select {columns} from {name}.{table} {kept}").fetchall(), key=repr)
                for name in ("cluster", "alone")
            )
            assert there == here, table
        (hours,) = connection.execute("select count(*) from cluster.hourly_recommendations").fetchone()
        assert hours > 0, "somebody was active in the two hours"


def test_each_text_was_embedded_once_and_nothing_waits(cluster: Cluster, tmp_path: Path) -> None:
    from tideline.hosts.groups import LEDGER, SHARDS
    from tideline.hosts.shared import fetch
    from tideline.hosts.trees import Cache

    objects = store_of(cluster)
    cache = Cache(tmp_path / "cache", objects)
    fetch(LEDGER, tmp_path / "home", objects, cache)
    assert fetch(SHARDS, tmp_path / "home", objects, cache).refs == {}
    import lancedb

    (table,) = (tmp_path / "home" / "vectors").glob("*/text_vectors.lance")
    keys = lancedb.connect(table.parent).open_table("text_vectors").to_arrow()["key"].to_pylist()
    assert len(keys) == len(set(keys)) > 500


def test_workers_keep_nothing_of_a_run_and_logs_tell_no_secret(cluster: Cluster) -> None:
    for worker in (*WAREHOUSE, *GPU, "default-1"):
        home = cluster.home(worker)
        assert not (home / "runs").exists() and not (home / "serving").exists() and not (home / "lake").exists()
    told = "\n".join(
        file.read_text(errors="replace")
        for place in ("logs", "services", "backing")
        for file in (cluster.folder / place).rglob("*.log")
    )
    assert len(told) > 1000
    leaked = [name for name, value in cluster.secrets.items() if value in told]
    assert leaked == []
    assert json.loads((cluster.folder / "secrets.json").read_text()) == cluster.secrets
