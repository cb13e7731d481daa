"""`make bench-hourly`: what an hour costs, by how many users were active and by how many there are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

from embeddings.settings import Settings
from tideline import airflow_home
from tideline.commands.hourly.base import grow
from tideline.commands.hourly.shop import AS_OF, land_hour, land_year
from tideline.commands.hourly.timed_run import Timed, time_run
from tideline.window import Kind


def timed(settings: Settings, kind: Kind, as_of: datetime) -> Timed:
    """Time a run in a process of its own."""
    environment = airflow_home.passed_on(settings) | {"AIRFLOW_HOME": str(settings.root / "airflow")}
    environment |= {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(time_run, environment, kind, as_of).result()


def at(settings: Settings, home: Path) -> Settings:
    """Return the settings of a home of the shop."""
    own = {"source": "canonical", "home": home, "landing": home / "landing", "vars": {}}
    return Settings(**(settings.model_dump() | own))
