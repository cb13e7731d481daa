"""Airflow's own records and logs, where Airflow is the one of this home (`make up`).

Where a team runs Airflow itself, its database and its logs are theirs to clean: nothing is done here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

from embeddings.settings import Settings
from tideline import airflow_home


class AirflowCleanError(RuntimeError):
    """`airflow db clean` failed; the message has its last words."""


def clean_airflow(settings: Settings, now: datetime) -> dict[str, int]:
    """Delete records and log files from before `now` by more than `settings.keep_log_days`.

    Of each DAG the last scheduled run stays: Airflow needs it to go on.

    Returns
    -------
    dict
        `log_files` and `bytes_freed`, of logs: the database uses the room that its deleted records leave again.

    Raises
    ------
    AirflowCleanError
        If Airflow refuses.
    """
    home = settings.root / "airflow"
    if not (home / "airflow.db").exists():
        return {"log_files": 0, "bytes_freed": 0}
    before = now - timedelta(days=settings.keep_log_days)
    files, freed = remove_logs(home / "logs", before)
    _clean_database(settings, before)
    return {"log_files": files, "bytes_freed": freed}


def remove_logs(folder: Path, before: datetime) -> tuple[int, int]:
    """Delete the files of before then, and the folders that are empty without them; return files and bytes."""
    files = freed = 0
    emptied = set()
    for file in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before the folder
        if file.is_symlink():
            continue
        if file.is_dir():
            if file in emptied and not any(file.iterdir()):
                file.rmdir()
                emptied.add(file.parent)
        elif (stat := file.stat()).st_mtime < before.timestamp():
            files, freed = files + 1, freed + stat.st_size
            file.unlink()
            emptied.add(file.parent)
    return files, freed


def _clean_database(settings: Settings, before: datetime) -> None:
    """Run `airflow db clean` in a process of its own: a task's process is not given the way to the database."""
    command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", before.isoformat()]
    command += ["--yes", "--skip-archive"]
    environment = {**os.environ, **airflow_home.environment(settings)}
    # A task's process may not reach the database, and says so in these.
    for name in [name for name in environment if name.startswith("_AIRFLOW")]:
        del environment[name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AirflowCleanError(f"airflow db clean failed: {done.stderr[-2000:]}")
