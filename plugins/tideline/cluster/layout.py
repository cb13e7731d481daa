"""What a cluster is made of before anything runs: its folder, ports, secrets and workers."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import NamedTuple

SECRETS = "secrets.json"
BUCKET = "tideline"
SECRET_NAMES = (
    *("postgres", "redis", "jwt", "ledger", "admin", "operator", "viewer"),
    *("warehouse_key", "runs_key", "reader_key"),
)
PORTS = ("ui", "postgres", "redis", "store", "store_master", "store_volume", "store_filer")
"""Each is the one after the one before."""


class Worker(NamedTuple):
    """A Celery worker with a home of its own."""

    name: str
    queue: str
    concurrency: int


WORKERS = (
    Worker("default-1", "default", 2),
    Worker("warehouse-1", "warehouse", 2),
    Worker("warehouse-2", "warehouse", 2),
    Worker("gpu-1", "gpu", 1),
    Worker("gpu-2", "gpu", 1),
)


class Cluster(NamedTuple):
    """A cluster of one source."""

    folder: Path
    source: str
    first_port: int
    secrets: dict[str, str]

    def port(self, name: str) -> int:
        """Return a port of 127.0.0.1."""
        return self.first_port + PORTS.index(name)

    @property
    def store(self) -> str:
        """`TIDELINE_STORE`."""
        return f"s3://{BUCKET}/main"

    @property
    def store_endpoint(self) -> str:
        """`TIDELINE_STORE_ENDPOINT`."""
        return f"http://127.0.0.1:{self.port('store')}"

    @property
    def commit_lock(self) -> str:
        """`TIDELINE_COMMIT_LOCK`: a database of its own, of a role that sees nothing of Airflow's."""
        return f"postgresql://tideline:{self.secrets['postgres']}@127.0.0.1:{self.port('postgres')}/tideline"

    @property
    def airflow_database(self) -> str:
        """Airflow's own database; no worker is told."""
        return f"postgresql+psycopg2://airflow:{self.secrets['postgres']}@127.0.0.1:{self.port('postgres')}/airflow"

    def home(self, worker: str) -> Path:
        """Return the home of a worker, which no other one reads."""
        return self.folder / "workers" / worker


def open_cluster(folder: Path, source: str, first_port: int) -> Cluster:
    """Return the cluster in a folder; its secrets are made once, at random, readable by their owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / SECRETS
    if not file.exists():
        part = folder / f".{SECRETS}.part"
        part.touch(mode=0o600)
        part.write_text(json.dumps({name: secrets.token_hex(16) for name in SECRET_NAMES}))
        part.replace(file)
    return Cluster(folder, source, first_port, json.loads(file.read_text()))


def store_identities(cluster: Cluster) -> dict[str, object]:
    """Return the store's identities: warehouse workers write everything, other workers what a run's stage or shard is,
    readers nothing.
    """
    below = f"{BUCKET}/main/{cluster.source}"
    reads = [f"Read:{BUCKET}", f"List:{BUCKET}"]
    allowed = {
        "warehouse": ["Admin", "Read", "Write", "List", "Tagging"],
        "runs": [*reads, *(f"Write:{below}/{part}/*" for part in ("blobs", "refs/runs", "refs/shards"))],
        "reader": reads,
    }
    return {
        "identities": [
            {
                "name": name,
                "credentials": [{"accessKey": name, "secretKey": cluster.secrets[f"{name}_key"]}],
                "actions": actions,
            }
            for name, actions in allowed.items()
        ]
    }
