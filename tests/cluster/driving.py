"""A running cluster as a person and as an accident see it: its API, its workers' processes, its store."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from embeddings.settings import Settings
from tideline.cluster.layout import Cluster
from tideline.cluster.programs import store_environment
from tideline.hosts.objects import Objects
from tideline.supervisor import control

AS_OF = datetime(2015, 11, 14, 21, tzinfo=UTC)
NEVER = "every 3000000000s"
"""Ninety-five years: no interval of such a schedule has ended."""


def write_slice(datasets: Path, landing: Path, users: int = 60) -> None:
    """Write what some people of ml_latest_small rated, and whoever was active in the two hours, and their films."""
    landing.mkdir(parents=True)
    origin = datasets / "ml_latest_small"
    with (origin / "ratings.csv").open(newline="") as stream:
        ratings = list(csv.DictReader(stream))
    start, end = AS_OF.timestamp(), (AS_OF + timedelta(hours=2)).timestamp()
    people = {str(number) for number in range(1, users + 1)}
    people |= {row["userId"] for row in ratings if start <= int(row["timestamp"]) < end}
    ratings = [row for row in ratings if row["userId"] in people]
    with (origin / "movies.csv").open(newline="") as stream:
        films = {row["movieId"] for row in ratings}
        movies = [row for row in csv.DictReader(stream) if row["movieId"] in films]
    for name, rows in {"ratings": ratings, "movies": movies}.items():
        with (landing / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)


def wait_for(condition: Callable[[], Any], seconds: float, what: str, poll: float = 0.5) -> Any:
    """Return what a condition gives as soon as it holds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(poll)
    return found


class Driver:
    """The API as one of the people."""

    def __init__(self, cluster: Cluster, person: str) -> None:
        self._url = f"http://127.0.0.1:{cluster.port('ui')}"
        self._token = None
        password = cluster.secrets.get(person)
        if password:
            answer = self.ask("POST", "/auth/token", {"username": person, "password": password})
            self._token = answer["access_token"]

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a request. Raises `urllib.error.HTTPError` where it is refused."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer) or {})

    def status(self, method: str, path: str, body: dict[str, Any] | None = None) -> int:
        """Return the status of an answer."""
        try:
            self.ask(method, path, body)
        except urllib.error.HTTPError as refused:
            return refused.code
        return 200

    def trigger(self, dag: str, as_of: datetime) -> str:
        """Start a run; return its id."""
        body = {"logical_date": None, "conf": {"as_of": as_of.isoformat()}}
        return str(self.ask("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])

    def wait_until_ended(self, dag: str, run: str, seconds: float) -> float:
        """Wait for a run's success; return the seconds that it took, queueing included."""

        def ended() -> dict[str, Any] | None:
            try:
                found = self.ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run}")
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                return None
            return found if found["state"] in ("success", "failed") else None

        found = wait_for(ended, seconds, f"end of {run}")
        if found["state"] == "failed":
            tasks = self.ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
            states = {f"{task['task_id']}[{task['map_index']}]": task["state"] for task in tasks}
            raise AssertionError(f"{dag} failed: {states}")
        start, end = (datetime.fromisoformat(found[name]) for name in ("queued_at", "end_date"))
        return (end - start).total_seconds()


def at_work(cluster: Cluster, workers: tuple[str, ...], stage: str) -> str | None:
    """Return the worker that is in the middle of a stage."""
    for worker in workers:
        if any((cluster.home(worker) / "work").glob(f"{stage}-*/runs/*/run.json")):
            return worker
    return None


def kill(cluster: Cluster, program: str) -> None:
    """Kill a program with all that it started, as a lost machine would; its supervisor starts it again."""
    pid = int(control(cluster.folder / "services", "pid", program).stdout)
    parent = psutil.Process(pid)
    family = [*parent.children(recursive=True), parent]
    for process in family:
        process.suspend()  # so that nobody has time to say goodbye
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)


def pause(cluster: Cluster, program: str, seconds: float) -> None:
    """Stop what the workers share for some seconds."""
    assert "stopped" in control(cluster.folder / "backing", "stop", program).stdout
    time.sleep(seconds)
    assert "started" in control(cluster.folder / "backing", "start", program).stdout


def store_of(cluster: Cluster) -> Objects:
    """Return the store, as a warehouse worker sees it."""
    os.environ.update(store_environment(cluster, "warehouse"))
    try:
        return Objects(f"{cluster.store}/{cluster.source}", cluster.store_endpoint)
    finally:
        for name in store_environment(cluster, "warehouse"):
            os.environ.pop(name)


def walk_alone(home: Path, landing: Path, settings: Settings) -> subprocess.Popen[str]:
    """Start the same windows on one machine, without Airflow: a night and two hours."""
    code = (
        "from datetime import timedelta; from tideline.walk import walk; from tideline.window import *\n"
        f"as_of = parse_instant('{AS_OF.isoformat()}'); walk(window_ending('nightly', as_of), 'alone')\n"
        "for hour in (1, 2): walk(window_ending('hourly', as_of + timedelta(hours=hour)), 'alone')"
    )
    given = {"TIDELINE_SOURCE": settings.source, "TIDELINE_HOME": str(home), "TIDELINE_LANDING": str(landing)}
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **given}, text=True)
