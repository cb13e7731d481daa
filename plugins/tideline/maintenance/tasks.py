"""What the tasks of the maintenance DAG do, in order. Each may be repeated, and killed at any moment."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from embeddings.settings import Settings, load_settings

log = logging.getLogger(__name__)
Counts = dict[str, int]


def scrub() -> Counts:
    """Read everything that nobody may change and compare it with what was written. Damage ends the maintenance here:
    nothing may be deleted that is needed to mend it.
    """
    from tideline.serving.scrub import DamagedError, scrub

    scrubbed = scrub(opened())
    if scrubbed.findings:
        told = "; ".join(f"{finding.file}: {finding.remedy}" for finding in scrubbed.findings)
        raise DamagedError(f"{len(scrubbed.findings)} files changed on the disk: {told}")
    return _told("scrub", scrubbed.counts)


def compact_lake() -> Counts:
    """Merge small old batches of the lake into packs, and remove the folders that an older pack stands for."""
    from tideline.intake.compaction import compact_lake
    from tideline.serving.retention import pins_in_use

    settings, now = opened(), datetime.now(UTC)
    return _told("lake", compact_lake(settings, now, pins_in_use(settings.root, now)))


def compact_vectors() -> Counts:
    """Merge small files of the vector tables, bring indexes up to date and drop versions that nobody needs."""
    from tideline.maintenance.vectors import compact_vectors

    return _told("vectors", compact_vectors(opened()))


def forget() -> Counts:
    """Delete what is older than the settings say it is kept."""
    from tideline.maintenance.forgetting import forget

    return _told("retention", forget(opened(), datetime.now(UTC)))


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


def _told(what: str, counts: Counts) -> Counts:
    log.info("maintenance of %s: %s", what, counts)
    return counts
