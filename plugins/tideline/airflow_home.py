"""The Airflow of one source: its environment, its database, its DAG files. One machine, SQLite, LocalExecutor."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path
from typing import Any

from embeddings.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
MIGRATED = "migrated-to"
GPU_POOL = "gpu"
SECRETS = ("ledger_secret", "webhook", "commit_lock", "ui_passwords")


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that point Airflow, and Tideline inside its tasks, at this source's home."""
    home = settings.root / "airflow"
    return {
        **passed_on(settings),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{settings.ui_port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(settings.ui_port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{settings.ui_port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # The tasks of a scheduler that died are found within a minute, not within Airflow's default of five.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        # The services prove themselves to each other with the same secret; without one each would make up its own.
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret(home / "jwt_secret"),
        "AIRFLOW__CORE__FERNET_KEY": _secret(home / "fernet_key"),
    }


def _secret(file: Path) -> str:
    """Read the secret in a file, made once at random, readable by its owner only."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    if not file.exists():
        part.touch(mode=0o600)
        part.write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
        try:
            os.link(part, file)  # the first of two processes wins, and nobody reads half a secret
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return file.read_text()


def passed_on(settings: Settings) -> dict[str, str]:
    """Return the settings as environment variables, so that another process reads the same ones."""
    values: dict[str, Any] = settings.model_dump(exclude=set(SECRETS), exclude_none=True)
    values |= {"home": settings.root, "landing": settings.landing_path, "vars": json.dumps(settings.vars)}
    passed = {f"TIDELINE_{name.upper()}": str(value) for name, value in values.items()}
    for name in SECRETS:
        if (secret := getattr(settings, name)) is not None:
            passed[f"TIDELINE_{name.upper()}"] = secret.get_secret_value()
    return passed


def enter(settings: Settings, **more: str) -> None:
    """Make this process an Airflow process of the source. Call it before anything imports airflow.

    New files are readable by their owner only: Airflow's log folder and password file would be world-readable.
    """
    os.umask(0o077)
    os.environ.update(environment(settings) | more)


def migrate(settings: Settings) -> None:
    """Create or upgrade Airflow's database, once for each version of Airflow, and see that it has the pool `gpu`."""
    from importlib.metadata import version

    marker = settings.root / "airflow" / MIGRATED
    if not marker.exists() or marker.read_text() != version("apache-airflow"):
        marker.parent.mkdir(parents=True, exist_ok=True)
        from airflow.utils.db import initdb

        initdb()
        marker.write_text(version("apache-airflow"))
    make_pool(1)


def make_pool(slots: int) -> None:
    """Make the pool `gpu` where there is none: a task in a pool that does not exist is never scheduled.

    A pool that is there stays as it is: its slots are the team's to set, one for each worker that embeds.
    """
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    if Pool.get_pool(GPU_POOL) is not None:
        return
    try:
        with create_session() as session:
            session.add(
                Pool(
                    pool=GPU_POOL, slots=slots, description="Workers that embed texts at a time", include_deferred=False
                )
            )
    except IntegrityError:
        pass  # another process was first


def set_paused(paused: bool) -> None:
    """Bring the DAG files into the database, paused or not: a stranger's UI must not wait for the first parse."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    for bundle in manager.get_all_dag_bundles():
        bundle.initialize()
        bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        if bag.import_errors:
            raise ValueError("\n".join(f"{file}: {error}" for file, error in bag.import_errors.items()))
        sync_bag_to_db(bag, bundle.name, bundle.version)
    with create_session() as session:
        session.execute(update(DagModel).values(is_paused=paused))
