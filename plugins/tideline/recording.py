"""Stages are timed and recorded: one line of `stages.jsonl` in the run's folder for each, or for each part of one."""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
from collections.abc import Callable

from embeddings import checksums
from embeddings.failpoints import arm
from embeddings.settings import Settings, load_settings
from tideline.hosts.workplace import work_on
from tideline.run import Run, load_run

log = logging.getLogger(__name__)
Counts = dict[str, int | float | str | bool | None]
SAMPLING_SECONDS = 0.05
KEPT_FILES = ("tables/*.parquet", "vectors/**/*.parquet", "scored/*.parquet")
"""Files of a run that later stages and later runs read, and that have no checksums of their own."""


def stage(work: Callable[[Run, Settings], Counts]) -> Callable[[str], Counts]:
    """Make a stage of what a run does: it takes the id of the opened run, and is recorded under the work's name."""

    @functools.wraps(work)
    def recorded(opened: str) -> Counts:
        return record(work.__name__, opened, work)

    # The task decorator reads the signature: it must see `opened`, not the work's own parameters.
    del recorded.__wrapped__  # type: ignore[attr-defined]
    recorded.__annotations__ = {"opened": str, "return": dict}
    return recorded


def record(name: str, opened: str, work: Callable[[Run, Settings], Counts], part: str | None = None) -> Counts:
    """Load the run, do the work, append name, part, seconds, counts, memory and failure to `stages.jsonl`.

    A stage that several workers do at a time has a line for each of its parts.
    """
    settings = load_settings()
    arm(settings.failpoint)
    return work_on(settings, opened, name, functools.partial(_record, name, opened, work, part), part)


def _record(
    name: str, opened: str, work: Callable[[Run, Settings], Counts], part: str | None, settings: Settings
) -> Counts:
    run = load_run(opened, settings)
    started = time.perf_counter()
    counts: Counts = {}
    failure = None
    try:
        with PeakMemory() as peak:
            counts = work(run, settings)
        if part is None:  # parts of one stage are done at a time, and leave only their records in the run
            checksums.record(run.path, KEPT_FILES)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        raise
    finally:
        line = {
            "stage": name,
            "part": part,
            "seconds": round(time.perf_counter() - started, 3),
            "rows": counts,
            "peak_mb": peak.megabytes,
            "failure": failure,
        }
        with (run.path / "stages.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")
    log.info("%s of %s: %.1f s, %s", name, opened, line["seconds"], counts)
    return counts


class PeakMemory:
    """Highest resident memory of this process within a `with` block, in MiB, sampled."""

    megabytes = 0.0

    def __enter__(self) -> PeakMemory:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        import psutil

        process = psutil.Process()
        while True:
            self.megabytes = max(self.megabytes, round(process.memory_info().rss / 2**20, 1))
            if self._done.wait(SAMPLING_SECONDS):
                return
