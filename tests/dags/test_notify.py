"""Who is told, and what: by the ways in which Airflow itself calls a notifier."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, DeadlineReference
from airflow.triggers.callback import CallbackTrigger

from tideline.notify import FILE, Notifier

DAGS = Path(__file__).resolve().parents[2] / "dags"
SECRET = "my secret review"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIDELINE_SOURCE", "canonical")
    return tmp_path / "home"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a webhook was sent; it takes the first notification and refuses the others."""
    got: list[dict[str, Any]] = []

    class Box(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if len(got) == 1 else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Box) as server:
        monkeypatch.setenv("TIDELINE_WEBHOOK", f"http://127.0.0.1:{server.server_port}/hook?token=very-secret")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield got
        server.shutdown()


def told(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / FILE).read_text().splitlines()]


def fail() -> None:
    """Call the notifier as the DAG processor does for a run that failed without a last task."""
    Notifier("failed")({"dag": DAG("nightly_recommendations"), "run_id": "r1", "reason": SECRET})


async def miss(kwargs: dict[str, Any]) -> list[Any]:
    """Run the callback of a missed deadline as the triggerer does."""
    return [event.payload async for event in CallbackTrigger("tideline.notify.Notifier", kwargs).run()]


def test_a_failed_run_is_a_line_in_the_home_and_in_the_log(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    fail()
    (line,) = told(home)
    assert (line["what"], line["dag"], line["run"]) == ("failed", "nightly_recommendations", "r1")
    assert line["source"] == "canonical" and line["where"].endswith("/dags/nightly_recommendations/runs/r1")
    assert json.dumps(line) in caplog.text
    assert SECRET not in caplog.text and SECRET not in (home / FILE).read_text()
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600


def test_a_missed_deadline_is_told_by_the_triggerer(home: Path) -> None:
    context = {
        "dag_run": {"dag_id": "hourly_recommendations", "run_id": "r2", "conf": {"note": SECRET}},
        "deadline": {"id": "1", "deadline_time": "2026-01-01T00:30:00+00:00"},
    }
    events = asyncio.run(miss({"what": "late", "context": context}))
    assert events[-1]["state"] == "success"
    (line,) = told(home)
    assert (line["what"], line["dag"], line["run"]) == ("late", "hourly_recommendations", "r2")
    assert line["deadline"] == "2026-01-01T00:30:00+00:00" and SECRET not in json.dumps(line)


def test_a_webhook_gets_the_same_and_may_fail(
    home: Path, mailbox: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    fail()
    fail()
    assert mailbox == told(home) and len(mailbox) == 2
    assert "HTTPError" in caplog.text and "very-secret" not in caplog.text


def test_every_dag_tells_and_nights_and_hours_have_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDELINE_HOURLY_DEADLINE_MINUTES", "12")
    bag = DagBag(str(DAGS))
    assert all(isinstance(dag.on_failure_callback, Notifier) for dag in bag.dags.values())
    deadlines = {dag_id: dag.deadline for dag_id, dag in bag.dags.items() if dag.deadline}
    assert {dag_id: [alert.interval for alert in alerts] for dag_id, alerts in deadlines.items()} == {
        "hourly_recommendations": [timedelta(minutes=12)],
        "nightly_recommendations": [timedelta(minutes=180)],
    }
    for (alert,) in deadlines.values():
        assert alert.reference == DeadlineReference.DAGRUN_QUEUED_AT
        assert (alert.callback.path, alert.callback.kwargs) == ("tideline.notify.Notifier", {"what": "late"})
