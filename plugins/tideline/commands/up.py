"""`make up` and `make down`: Airflow's four services under a supervisor that restarts them, for one source."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from embeddings.settings import Settings
from tideline import airflow_home, supervisor
from tideline.commands.run import newest_event_at
from tideline.supervisor import Program, ServicesError, tool
from tideline.window import LENGTH

# The log servers of scheduler and triggerer would listen on all interfaces; here all read the same log folder.
SERVICES = {
    "api-server": "api-server",
    "scheduler": "scheduler --skip-serve-logs",
    "dag-processor": "dag-processor",
    "triggerer": "triggerer --skip-serve-logs",
}
START_SECONDS = 120


def up(settings: Settings) -> None:
    """Start the services, wait until the UI answers, and print how to reach it.

    Raises
    ------
    ServicesError
        If the port is taken or a service does not become healthy in time.
    """
    folder = settings.root / "supervisor"
    if supervisor.is_running(folder):
        print(f"Already running for {settings.source}: http://127.0.0.1:{settings.ui_port} (`make down` stops it)")
        return
    _refuse_taken_port(settings.ui_port)
    paused = why_paused(settings)
    airflow_home.enter(settings, AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=str(bool(paused)))
    airflow_home.migrate(settings)
    airflow_home.set_paused(bool(paused))
    supervisor.start(folder, {name: Program([tool("airflow"), *command.split()]) for name, command in SERVICES.items()})
    _wait_until_healthy(settings, folder)
    _print_banner(settings, paused)


def down(settings: Settings) -> None:
    """Stop exactly the services that `up` started for this source."""
    folder = settings.root / "supervisor"
    if not supervisor.is_running(folder):
        print(f"Nothing runs for {settings.source} below {settings.root}.")
        return
    supervisor.stop(folder)
    print(f"Stopped the services of {settings.source}.")


def why_paused(settings: Settings) -> str | None:
    """Say why the DAGs should start paused, or None: scheduled windows end now, so old data gives empty ones."""
    newest = newest_event_at(settings)
    if newest is None:
        return "no event was taken in yet: run `make run` first, or put files into the landing folder"
    if datetime.now(UTC) - newest > LENGTH["nightly"]:
        return f"the newest event is of {newest:%Y-%m-%d %H:%M} UTC, older than one nightly window"
    return None


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ServicesError(
                f"port {port} of 127.0.0.1 is taken: stop what uses it, or choose another with TIDELINE_UI_PORT=8081"
            ) from None


def _wait_until_healthy(settings: Settings, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    print("Starting API server, scheduler, DAG processor and triggerer ...", flush=True)
    while time.monotonic() < deadline:
        if is_healthy(settings.ui_port):
            return
        time.sleep(1)
    raise ServicesError(
        f"not all services were healthy after {START_SECONDS} s: see the logs in {folder}, then `make down`"
    )


def is_healthy(port: int) -> bool:
    """Whether Airflow says on a port of 127.0.0.1 that its services work."""
    health = _health(port)
    return all(health.get(part, {}).get("status") == "healthy" for part in ("scheduler", "dag_processor", "triggerer"))


def _health(port: int) -> dict[str, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5) as answer:
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError):
        return {}


def _print_banner(settings: Settings, paused: str | None) -> None:
    passwords = settings.root / "airflow" / "simple_auth_manager_passwords.json.generated"
    print(f"\nAirflow for {settings.source}: http://127.0.0.1:{settings.ui_port}")
    print(f"User and password: {passwords}")
    if paused:
        print(f"The DAGs are PAUSED: {paused}. Unpause them in the UI, or trigger one with a parameter `as_of`.")
    else:
        print(
            f"The DAGs run on schedule: nightly {settings.nightly_schedule}, hourly {settings.hourly_schedule}, "
            f"training {settings.training_schedule}, maintenance {settings.maintenance_schedule} (UTC)."
        )
    print(f"Logs: {settings.root / 'supervisor'}. `make down` stops everything.")
