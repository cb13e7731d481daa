"""`make cluster-up` and `make cluster-down`: the topology of `docker-compose.yml` as processes; `make secrets`."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path

from embeddings.settings import Settings
from tideline import supervisor
from tideline.airflow_home import REPOSITORY
from tideline.cluster.backing import start_backing
from tideline.cluster.layout import WORKERS, Cluster, open_cluster
from tideline.cluster.prepare import ROLES, prepare
from tideline.cluster.programs import of_services, services
from tideline.commands.up import is_healthy
from tideline.supervisor import ServicesError

START_SECONDS = 300
DOTENV = (
    *("POSTGRES_ADMIN_PASSWORD", "POSTGRES_PASSWORD", "LOCK_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET"),
    *("SESSION_SECRET", "LEDGER_SECRET", "WAREHOUSE_KEY", "RUNS_KEY", "READER_KEY"),
    *(f"{name.upper()}_PASSWORD" for name in ROLES),
)
"""Secrets that `docker-compose.yml` asks for, `TIDELINE_` left out; and Airflow's `FERNET_KEY`."""


def run_cluster(settings: Settings, action: str) -> None:
    """Start, stop or prepare a cluster, or write the secrets of the compose file."""
    if action == "up":
        up(settings)
    elif action == "down":
        down(settings)
    elif action == "prepare":
        prepare(settings, sum(worker.queue == "gpu" for worker in WORKERS))
    else:
        write_secrets(REPOSITORY / ".env")


def cluster_of(settings: Settings) -> Cluster:
    """Return the cluster of a source, below its home; its ports are the UI's and those after it."""
    return open_cluster(settings.root / "cluster", settings.source, settings.ui_port)


def up(settings: Settings) -> None:
    """Start the cluster, wait until it is healthy, and print how to reach it.

    Raises
    ------
    ServicesError
        If something is not installed, or not healthy in time.
    """
    cluster = cluster_of(settings)
    if supervisor.is_running(cluster.folder / "services"):
        print(
            f"Already running for {settings.source}: http://127.0.0.1:{settings.ui_port} (`make cluster-down` stops it)"
        )
        return
    print("Starting Postgres, Redis and the object store ...", flush=True)
    start_backing(cluster)
    print("Preparing Airflow's database ...", flush=True)
    prepare_database(cluster, settings)
    print("Starting Airflow's services and the workers ...", flush=True)
    supervisor.start(cluster.folder / "services", services(cluster, settings))
    deadline = time.monotonic() + START_SECONDS
    while not is_healthy(settings.ui_port):
        if time.monotonic() > deadline:
            raise ServicesError(f"not healthy after {START_SECONDS} s: see the logs in {cluster.folder / 'services'}")
        time.sleep(1)
    print(f"\nAirflow for {settings.source}: http://127.0.0.1:{settings.ui_port}")
    print(f"People ({', '.join(ROLES)}) and their passwords, and all other secrets: {cluster.folder / 'secrets.json'}")
    print(
        f"The store: {cluster.store}/{cluster.source} at {cluster.store_endpoint}; new files go below landing/ there."
    )
    print(f"Workers: {', '.join(f'{worker.name} ({worker.queue})' for worker in WORKERS)}.")
    print("The DAGs are paused until you unpause them. `make cluster-down` stops everything.")


def down(settings: Settings) -> None:
    """Stop exactly what `up` started."""
    cluster = cluster_of(settings)
    running = [name for name in ("services", "backing") if supervisor.is_running(cluster.folder / name)]
    for name in running:
        supervisor.stop(cluster.folder / name)
    print(f"Stopped the cluster of {settings.source}." if running else f"No cluster of {settings.source} runs.")


def write_secrets(file: Path) -> None:
    """Write the secrets that the compose file asks for, at random, readable by their owner only; never over others.

    Raises
    ------
    ServicesError
        If the file is there.
    """
    if file.exists():
        raise ServicesError(f"{file} is there, and a lost secret is a lost database: move it away for new ones")
    part = file.with_name(".env.part")
    part.touch(mode=0o600)
    lines = [f"TIDELINE_{name}={secrets.token_hex(24)}" for name in DOTENV]
    lines.append(f"TIDELINE_FERNET_KEY={urlsafe_b64encode(secrets.token_bytes(32)).decode()}")
    part.write_text("".join(f"{line}\n" for line in lines))
    part.rename(file)
    print(f"Wrote {file}: keep it, and keep it private.")


def prepare_database(cluster: Cluster, settings: Settings) -> None:
    """Run `cluster prepare` as a process of its own: Airflow reads its environment once."""
    passwords = {name: cluster.secrets[name] for name in ROLES}
    environment = {
        **os.environ,
        **of_services(cluster, settings),
        "AIRFLOW_HOME": str(cluster.folder / "airflow" / "init"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "TIDELINE_UI_PASSWORDS": json.dumps(passwords),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tideline", "cluster", "prepare"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServicesError(f"Airflow's database cannot be prepared: {done.stderr[-2000:]}")
