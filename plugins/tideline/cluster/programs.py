"""The programs of a cluster: the command, the environment and the user of each. Nobody is told a secret in vain."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from pathlib import Path

from embeddings.settings import Settings
from tideline.airflow_home import REPOSITORY, SECRETS, passed_on
from tideline.cluster.layout import WORKERS, Cluster, Worker, store_identities
from tideline.supervisor import Program, tool

POSTGRES = "/usr/lib/postgresql/15/bin"
HEARTBEAT_SECONDS = 15
"""A task whose worker was killed is found after so long; Airflow's own default is five minutes."""


def services(cluster: Cluster, settings: Settings) -> dict[str, Program]:
    """Return Airflow's services and the workers by name."""
    own = of_services(cluster, settings)
    commands = {
        "api-server": ["api-server", "--host", "127.0.0.1", "--port", str(cluster.port("ui")), "--workers", "1"],
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
    }
    homes = cluster.folder / "airflow"
    return {
        **{
            name: Program([tool("airflow"), *command], {**own, "AIRFLOW_HOME": str(homes / name)})
            for name, command in commands.items()
        },
        **{worker.name: _worker(cluster, worker, settings) for worker in WORKERS},
    }


def backing(cluster: Cluster) -> dict[str, Program]:
    """Return Postgres, Redis and the object store."""
    here = cluster.folder
    address = "127.0.0.1"
    postgres = ["-D", str(here / "postgres"), "-p", str(cluster.port("postgres")), "-h", address, "-k", ""]
    weed = ["server", f"-dir={here / 'store'}", f"-ip={address}", f"-ip.bind={address}", "-s3"]
    weed += [
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.port={cluster.port('store')}",
        f"-s3.config={here / 'store.json'}",
        "-volume.max=0",
        "-master.volumeSizeLimitMB=1024",  # at 30 GB, the default, a small disk has room for no volume
    ]
    for part in ("master", "volume", "filer"):
        weed.append(f"-{part}.port={cluster.port(f'store_{part}')}")
    return {
        "postgres": Program([f"{POSTGRES}/postgres", *postgres], {}, "postgres" if os.getuid() == 0 else None),
        "redis": Program(["redis-server", str(here / "redis.conf")], {}),
        "store": Program([tool("weed"), "-logtostderr", *weed], {}),
    }


def write_files(cluster: Cluster) -> None:
    """Write what Redis and the store read at their start: passwords stand in no command line."""
    for folder in ("redis", "store"):
        (cluster.folder / folder).mkdir(exist_ok=True, mode=0o700)
    redis = {
        "bind": "127.0.0.1",
        "port": cluster.port("redis"),
        "dir": cluster.folder / "redis",
        "appendonly": "yes",
        "requirepass": cluster.secrets["redis"],
    }
    _write_private(cluster.folder / "redis.conf", "".join(f"{name} {value}\n" for name, value in redis.items()))
    _write_private(cluster.folder / "store.json", json.dumps(store_identities(cluster), indent=1))


def missing() -> list[str]:
    """Return the programs that are not installed: Debian's `postgresql` and `redis-server` have them."""
    wanted = [f"{POSTGRES}/postgres", f"{POSTGRES}/initdb", "redis-server", tool("weed")]
    return [program for program in wanted if shutil.which(program) is None]


def store_environment(cluster: Cluster, identity: str) -> dict[str, str]:
    """Return the variables with which a process uses the store as `warehouse`, `runs` or `reader`."""
    return {
        "TIDELINE_STORE": cluster.store,
        "TIDELINE_STORE_ENDPOINT": cluster.store_endpoint,
        "AWS_ACCESS_KEY_ID": identity,
        "AWS_SECRET_ACCESS_KEY": cluster.secrets[f"{identity}_key"],
        "AWS_REGION": "us-east-1",
    }


def of_services(cluster: Cluster, settings: Settings) -> dict[str, str]:
    """Return the environment of Airflow's own services."""
    return {**_airflow(cluster, settings), **_of_database(cluster)}


def _airflow(cluster: Cluster, settings: Settings) -> dict[str, str]:
    """Return what services and workers have in common."""
    url = f"http://127.0.0.1:{cluster.port('ui')}"
    redis = f"redis://:{cluster.secrets['redis']}@127.0.0.1:{cluster.port('redis')}"
    given = passed_on(settings)
    own = {"TIDELINE_HOME", "TIDELINE_LANDING", *(f"TIDELINE_{name.upper()}" for name in SECRETS)}
    return {
        **{name: value for name, value in given.items() if name not in own},
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CELERY__BROKER_URL": f"{redis}/0",
        # Results in Redis: no worker needs the way to Airflow's database.
        "AIRFLOW__CELERY__RESULT_BACKEND": f"{redis}/1",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(cluster.folder / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_SECONDS),
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }


def _of_database(cluster: Cluster) -> dict[str, str]:
    """Return what only Airflow's services are told."""
    jwt = cluster.secrets["jwt"]
    session, fernet = (hashlib.sha256(f"{use} {jwt}".encode()) for use in ("session", "fernet"))
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": cluster.airflow_database,
        "AIRFLOW__API_AUTH__JWT_SECRET": jwt,
        "AIRFLOW__API__SECRET_KEY": session.hexdigest(),
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(fernet.digest()).decode(),
    }


def _worker(cluster: Cluster, worker: Worker, settings: Settings) -> Program:
    home = cluster.home(worker.name)
    environment = {
        **_airflow(cluster, settings),
        **store_environment(cluster, "warehouse" if worker.queue == "warehouse" else "runs"),
        "AIRFLOW_HOME": str(home / "airflow"),
        "TIDELINE_HOME": str(home),
        # What a worker has no use for it is not told; Airflow would make up a database in its home.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////dev/null/no-worker-needs-a-database",
    }
    if worker.queue == "warehouse":
        environment |= {
            "TIDELINE_COMMIT_LOCK": cluster.commit_lock,
            "TIDELINE_LEDGER_SECRET": cluster.secrets["ledger"],
        }
        if settings.landing:
            environment["TIDELINE_LANDING"] = str(settings.landing_path)
    command = [tool("airflow"), "celery", "worker", "--queues", worker.queue, "--skip-serve-logs"]
    command += ["--concurrency", str(worker.concurrency), "--celery-hostname", f"{worker.name}@localhost"]
    return Program([*command, "--without-gossip", "--without-mingle"], environment)


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)
