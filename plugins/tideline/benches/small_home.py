"""The small home that larger ones are grown from, and how a run in a home of a benchmark is timed."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

from embeddings.settings import Settings
from tideline import airflow_home
from tideline.benches.grown_home import deliver_over_time
from tideline.benches.hourly_shop import AS_OF, land_year
from tideline.benches.timed_run import Timed, time_run
from tideline.window import Kind

EACH = 20
"""Events of a user in the year before the night."""


def settings_at(settings: Settings, home: Path) -> Settings:
    """Return the settings of a home of a benchmark's own, which keeps two generations beside the current one."""
    own = {"source": "canonical", "home": home, "landing": home / "landing", "vars": {}, "keep_generations": 2}
    return Settings(**(settings.model_dump() | own))


def make_small_home(settings: Settings, home: Path, users: int, items: int) -> Settings:
    """Run a night over few users; return the settings of its home."""
    small = settings_at(settings, home)
    land_year(small.landing_path, users, items, EACH)
    time_in(small, "nightly", AS_OF)
    deliver_over_time(small.root)
    return small


def time_in(settings: Settings, kind: Kind, as_of: datetime) -> Timed:
    """Do a run in a home, in a process of its own, and return what it cost."""
    environment = environment_of(settings)
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(time_run, environment, kind, as_of).result()


def environment_of(settings: Settings) -> dict[str, str]:
    """Return what a process in a home is told."""
    return airflow_home.passed_on(settings) | {
        "AIRFLOW_HOME": str(settings.root / "airflow"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
