"""What the tasks of the maintenance DAG do, in order. Each may be repeated, and killed at any moment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from embeddings.settings import Settings, load_settings

log = logging.getLogger(__name__)
Counts = dict[str, int]
T = TypeVar("T")


def scrub() -> Counts:
    """Read everything that nobody may change and compare it with what was written. Damage ends the maintenance here:
    nothing may be deleted that is needed to mend it.
    """
    from tideline.serving.scrub import DamagedError, scrub

    scrubbed = _at_home("scrub", scrub)
    if scrubbed.findings:
        told = "; ".join(f"{finding.file}: {finding.remedy}" for finding in scrubbed.findings)
        raise DamagedError(f"{len(scrubbed.findings)} files changed on the disk: {told}")
    return _told("scrub", scrubbed.counts)


def compact_lake() -> Counts:
    """Merge small old batches of the lake into packs, and remove the folders that an older pack stands for."""
    from tideline.intake.compaction import compact_lake
    from tideline.serving.retention import pins_in_use

    def compact(settings: Settings) -> Counts:
        now = datetime.now(UTC)
        return compact_lake(settings, now, pins_in_use(settings.root, now))

    return _told("lake", _at_home("compact_lake", compact))


def compact_vectors() -> Counts:
    """Merge small files of the vector tables, bring indexes up to date and drop versions that nobody needs."""
    from tideline.maintenance.vectors import compact_vectors

    return _told("vectors", _at_home("compact_vectors", compact_vectors))


def forget() -> Counts:
    """Delete what is older than the settings say it is kept."""
    from tideline.maintenance.forgetting import forget

    return _told("retention", _at_home("forget", lambda settings: forget(settings, datetime.now(UTC))))


def clean_airflow() -> Counts:
    """Delete Airflow's own old records and logs, where Airflow is that of this home."""
    from tideline.maintenance.airflow_records import clean_airflow

    return _told("airflow", clean_airflow(opened(), datetime.now(UTC)))


IN_ORDER = (scrub, compact_lake, compact_vectors, forget, clean_airflow)


def opened() -> Settings:
    """Return the settings of this home, which has the present layout from then on."""
    from tideline.serving.upgrade import open_home

    settings = load_settings()
    open_home(settings)
    return settings


def _at_home(task: str, work: Callable[[Settings], T]) -> T:
    """Do a task in the home, or in one that is made of what is in the store."""
    settings = load_settings()
    if settings.store is None:
        return work(opened())
    from tideline.hosts.upkeep import maintain_store

    return maintain_store(settings, task, work)


def _told(what: str, counts: Counts) -> Counts:
    log.info("maintenance of %s: %s", what, counts)
    return counts
