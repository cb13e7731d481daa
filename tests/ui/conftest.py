"""A home with gate records of two runs, and Airflow's own sign-in around the pages."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

GOOD, BAD = "nightly-20001122T000000Z-0123abcd", "nightly-20001123T000000Z-0123abcd"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home that the pages read, empty."""
    monkeypatch.setenv("TIDELINE_SOURCE", "canonical")
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def gates(home: Path) -> Path:
    """Records and pages as the gates write them: one run passed, the next was stopped."""
    for run_id, observed in ((GOOD, 0), (BAD, 3)):
        folder = home / "data_docs" / run_id
        folder.mkdir(parents=True)
        outcome = {
            "expectation": "unknown_items",
            "words": "every <item> is known",
            "level": "fail",
            "expected": "at most 0",
            "observed": observed,
            "rows": 1234 * observed,
            "passed": not observed,
            "query": "select '<script>'",
        }
        record = {"suite": "recommendations", "passed": not observed, "not_measured": [], "outcomes": [outcome]}
        record |= {"without_past": ["volume"], "quarantine_query": "from quarantine"}
        (folder / "recommendations.json").write_text(json.dumps(record))
        (folder / "recommendations.html").write_text(f"<p>page of {run_id}</p>")
    (home / "data_docs" / "notes").mkdir()
    (home / "secret.html").write_text("not for anybody")
    return home


@pytest.fixture
def published(home: Path) -> Path:
    """A snapshot with the run history of two nights and an hour; the first night is history."""
    import duckdb

    from tideline.contracts import RUN_HISTORY, ddl

    serving = home / "serving"
    serving.mkdir(parents=True)
    snapshot = serving / "snap_20001124T010000Z-hourly-0123abcd_3.duckdb"
    runs = [
        ("20001123T000000Z-nightly-0123abcd", "nightly", "2000-11-23 00:00", False, 1, 4952, 99_040),
        ("20001124T000000Z-nightly-0123abcd", "nightly", "2000-11-24 00:00", True, 2, 4960, 99_200),
        ("20001124T010000Z-hourly-0123abcd", "hourly", "2000-11-24 01:00", True, 3, 7, 140),
    ]
    with duckdb.connect(str(snapshot)) as connection:
        connection.execute(f"create table run_history ({ddl(RUN_HISTORY)})")
        for generation, kind, as_of, current, fence, users, rows in runs:
            connection.execute(
                "insert into run_history by name select ? as generation, ? as kind, ?::timestamp as as_of, "
                "as_of - interval 1 hour as window_start, as_of as window_end, ? as is_current, ? as fence, "
                "? as users, ? as rows, timestamp '2026-01-01' + to_minutes(fence::integer) as committed_at, "
                "12.34 as seconds, 'blend-1' as model_version",
                [generation, kind, as_of, current, fence, users, rows],
            )
    (serving / "current.duckdb").symlink_to(snapshot.name)
    return home


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """An Airflow home with a database: the sign-in looks there for revoked tokens."""
    from airflow.utils.db import initdb

    initdb()
    return Path(os.environ["AIRFLOW_HOME"])


@pytest.fixture(scope="session")
def airflow_app(airflow_home: Path) -> FastAPI:
    """Airflow's auth manager and plugins as the API server mounts them, without its own pages."""
    from airflow.api_fastapi.app import init_auth_manager, init_plugins

    app = FastAPI()
    init_plugins(app)
    init_auth_manager(app)
    return app


@pytest.fixture
def stranger(airflow_app: FastAPI) -> TestClient:
    """A client that has not signed in."""
    return TestClient(airflow_app, follow_redirects=False)


@pytest.fixture
def viewer(airflow_app: FastAPI) -> TestClient:
    """A client with a token that Airflow's auth manager issued, as the cookie of a browser."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ann", role="viewer"))
    return TestClient(airflow_app, cookies={"_token": token}, follow_redirects=False)
