"""The pages in a real API server of Airflow: mounted, guarded, listed in the navigation."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

START_SECONDS = 90


def call(url: str, token: str | None = None, body: dict[str, str] | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def server(gates: Path, airflow_home: Path, tmp_path: Path) -> Iterator[str]:
    """Address of an API server that runs for one test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = tmp_path / "api-server.log"
    airflow = str(Path(sys.executable).with_name("airflow"))
    with log.open("w") as stream:
        process = subprocess.Popen(
            [airflow, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            env=os.environ | {"AIRFLOW_HOME": str(airflow_home)},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                call(f"{address}/api/v2/version")
                break
            except OSError:
                assert process.poll() is None, f"the server died: {log.read_text()[-2000:]}"
                assert time.monotonic() < deadline, f"the server did not start: {log.read_text()[-2000:]}"
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.mark.slow
def test_the_page_is_served_to_those_who_signed_in(server: str, airflow_home: Path) -> None:
    assert call(f"{server}/tideline/")[0] == 401
    browser = urllib.request.Request(f"{server}/tideline/", headers={"Accept": "text/html,*/*"})
    with urllib.request.urlopen(browser, timeout=20) as answer:
        assert answer.status == 200
        assert "/login" in answer.url, "a browser is sent to sign in"
        assert "next=%2Ftideline%2F" in answer.url, "and back"
    passwords = json.loads((airflow_home / "simple_auth_manager_passwords.json.generated").read_text())
    user, password = next(iter(passwords.items()))
    status, answer = call(f"{server}/auth/token", body={"username": user, "password": password})
    assert status == 201
    token = json.loads(answer)["access_token"]
    status, page = call(f"{server}/tideline/", token)
    assert status == 200
    assert "every &lt;item&gt; is known" in page
    _, plugins = call(f"{server}/api/v2/plugins", token)
    [ours] = [plugin for plugin in json.loads(plugins)["plugins"] if plugin["name"] == "tideline"]
    assert [view["href"] for view in ours["external_views"]] == ["/tideline/"]
