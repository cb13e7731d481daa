"""`make up`: a real scheduler runs both DAGs on their own schedule, side by side, and what dies is restarted."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from end_to_end.shop import environment, tideline, write_shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def free_port() -> str:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


PORT = free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Home and landing of a shop whose newest events are of now, with the services up; hours are seconds here."""
    landing, home = tmp_path_factory.mktemp("fresh") / "landing", tmp_path_factory.mktemp("up")
    write_shop(landing, datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1))
    schedules = {
        "TIDELINE_HOURLY_SCHEDULE": "every 25s",
        "TIDELINE_NIGHTLY_SCHEDULE": "every 60s",
        # Training has its own tests, and two cores are few here.
        "TIDELINE_TRAINING_SCHEDULE": "0 0 29 2 *",
        "TIDELINE_RETRY_SECONDS": "1",
        "TIDELINE_UI_PORT": PORT,
    }
    from embeddings.settings import Settings
    from tideline.intake import take_in

    take_in(Settings(source="canonical", home=home, landing=landing))
    try:
        started = tideline(home, landing, "up", **schedules)
        assert started.returncode == 0, started.stdout + started.stderr
        assert "on schedule" in started.stdout
        yield home, landing
    finally:
        stopped = tideline(home, landing, "down", TIDELINE_UI_PORT=PORT)
        left = [process.pid for process in psutil.process_iter() if str(home) in environment_of(process)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert stopped.returncode == 0, stopped.stderr
    assert left == [], "`down` left processes behind"


def environment_of(process: psutil.Process) -> str:
    try:
        return process.environ().get("AIRFLOW_HOME", "")
    except psutil.Error:
        return ""


def dag_runs(home: Path, dag: str, state: str = "success") -> list[tuple[str, str]]:
    """Start and end of the scheduled runs of a DAG that are in a state, from Airflow's own database."""
    sql = (
        "select start_date, coalesce(end_date, '') from dag_run "
        "where dag_id = ? and state = ? and run_type = 'scheduled' order by start_date"
    )
    with sqlite3.connect(f"file:{home / 'airflow' / 'airflow.db'}?mode=ro", uri=True, timeout=30) as database:
        return database.execute(sql, (f"{dag}_recommendations", state)).fetchall()


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(1)


def test_hours_and_nights_run_on_their_schedule_and_side_by_side(running: tuple[Path, Path]) -> None:
    home, _ = running
    wait_for(lambda: dag_runs(home, "nightly") and len(dag_runs(home, "hourly")) >= 3, 300, "night and three hours")
    nights, hours = dag_runs(home, "nightly"), dag_runs(home, "hourly")
    overlapping = [(night, hour) for night in nights for hour in hours if hour[0] < night[1] and night[0] < hour[1]]
    assert overlapping, f"no hour ran while a night did: {nights} {hours}"
    assert dag_runs(home, "nightly", "failed") == dag_runs(home, "hourly", "failed") == []
    assert (home / "serving" / "current.duckdb").exists()


def test_shards_are_embedded_in_their_pool_and_a_run_without_new_text_skips_them(running: tuple[Path, Path]) -> None:
    home, _ = running
    sql = (
        "select distinct shard.state, shard.pool from task_instance as shard join task_instance as publish "
        "using (dag_id, run_id) where shard.task_id = 'embed_shard' and publish.task_id = 'publish' "
        "and publish.state = 'success' order by 1"
    )
    with sqlite3.connect(f"file:{home / 'airflow' / 'airflow.db'}?mode=ro", uri=True, timeout=30) as database:
        assert database.execute("select slots from slot_pool where pool = 'gpu'").fetchall() == [(1,)]
        expected = [("skipped", "gpu"), ("success", "gpu")]
        what = "published run with shards and one without"
        wait_for(lambda: database.execute(sql).fetchall() == expected, 300, what)


def test_a_scheduler_that_is_killed_comes_back_and_goes_on(running: tuple[Path, Path]) -> None:
    home, _ = running
    before = len(dag_runs(home, "hourly"))
    [victim] = [
        process
        for process in psutil.process_iter()
        if environment_of(process) == str(home / "airflow")
        and process.cmdline()[-2:-1] == ["scheduler"]
        and process.parent().name().startswith("supervisord")
    ]
    victim.kill()
    wait_for(lambda: len(dag_runs(home, "hourly")) >= before + 2, 300, "hourly run after the scheduler was killed")


def test_the_ui_asks_who_you_are(running: tuple[Path, Path]) -> None:
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v2/dags", timeout=10)
    assert refused.value.code == 401


def test_up_a_second_time_says_that_it_runs(running: tuple[Path, Path]) -> None:
    home, landing = running
    again = tideline(home, landing, "up", TIDELINE_UI_PORT=PORT)
    assert again.returncode == 0 and "Already running" in again.stdout


def test_what_the_services_write_is_private(running: tuple[Path, Path]) -> None:
    home, _ = running
    files = [home / "airflow" / "airflow.db", home / "airflow" / "simple_auth_manager_passwords.json.generated"]
    assert [file.stat().st_mode & 0o077 for file in files] == [0, 0]


def test_old_data_starts_paused_and_the_banner_says_why(shop: Path, tmp_path: Path) -> None:
    from embeddings.settings import Settings
    from tideline.commands.up import why_paused
    from tideline.intake import take_in

    settings = Settings(source="canonical", home=tmp_path / "home", landing=shop)
    assert "make run" in (why_paused(settings) or "")
    take_in(settings)
    assert "older than one nightly window" in (why_paused(settings) or "")


def test_the_slots_that_a_team_gave_the_pool_stay(tmp_path: Path, shop: Path) -> None:
    code = (
        "from embeddings.settings import load_settings; from tideline import airflow_home\n"
        "settings = load_settings(); airflow_home.enter(settings); airflow_home.migrate(settings)\n"
        "from airflow.models.pool import Pool; from airflow.utils.session import create_session\n"
        "with create_session() as session: Pool.get_pool('gpu', session=session).slots += 4\n"
        "airflow_home.migrate(settings); print('slots', Pool.get_pool('gpu').slots)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment(tmp_path / "home", shop), capture_output=True, text=True, check=False
    )
    assert "slots 5" in done.stdout, done.stderr[-2000:]


def test_a_taken_port_is_named(running: tuple[Path, Path], tmp_path: Path) -> None:
    _, landing = running
    command = tideline(tmp_path / "other", landing, "up", TIDELINE_UI_PORT=PORT)
    assert command.returncode == 1
    assert f"port {PORT}" in command.stderr and "TIDELINE_UI_PORT" in command.stderr


def test_down_without_up_stops_nothing(shop: Path, tmp_path: Path) -> None:
    assert "Nothing runs" in tideline(tmp_path / "home", shop, "down").stdout
