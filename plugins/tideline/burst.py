"""A burst: so many new bytes in the landing folder that an hour should run now, not at its next full hour.

Airflow's triggerer runs `BurstTrigger`; what it reports is an event of an asset, which the hourly DAG is scheduled by,
beside the clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from embeddings.settings import Settings, load_settings

log = logging.getLogger(__name__)
POLL_SECONDS = 15.0
MEGABYTE = 1_000_000


class BurstTrigger(BaseEventTrigger):  # type: ignore[misc]  # Airflow's triggers have no types
    """Report when new landing files of `megabytes` in all wait; each file counts for one report.

    It only looks: the run that it brings about takes the files in, by the same stages as every hour.
    """

    def __init__(self, megabytes: float, poll_seconds: float = POLL_SECONDS) -> None:
        super().__init__()
        self.megabytes = megabytes
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes it from again."""
        return "tideline.burst.BurstTrigger", {"megabytes": self.megabytes, "poll_seconds": self.poll_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the landing folder for ever; yield one event a burst: `files` and `bytes`."""
        settings = load_settings()
        told: set[Waiting] = set()
        while True:
            try:
                waiting = await asyncio.to_thread(find_waiting, settings)
            except (OSError, ValueError) as error:  # the folder is being moved, or a record is being written
                log.warning("the landing folder cannot be looked at: %s", error)
                waiting = told
            new = waiting - told
            size = sum(bytes_ for _, bytes_, _ in new)
            if size >= self.megabytes * MEGABYTE:
                told = waiting
                log.info("%d new files of %d bytes: an hour may run early", len(new), size)
                yield TriggerEvent({"files": len(new), "bytes": size})
            await asyncio.sleep(self.poll_seconds)


Waiting = tuple[str, int, int]
"""Name, bytes and time of change of a landing file."""


def find_waiting(settings: Settings) -> set[Waiting]:
    """Return the finished landing files that no intake has taken in, by the same look as an intake's first one."""
    from tideline.intake import list_batches
    from tideline.intake.declaration import read_declaration
    from tideline.intake.files import find_files
    from tideline.intake.process import STAGING

    batches: Sequence[dict[str, Any]] = list_batches(settings.root)
    known = {(batch["file"], batch["bytes"], batch["mtime_ns"]) for batch in batches}
    files = find_files(settings.landing_path, read_declaration(settings.source, STAGING), batches)
    return {(file.name, file.size, file.mtime_ns) for file in files} - known
