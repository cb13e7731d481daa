"""Show the stages of a run while Airflow works on them: one line a stage, with rows and seconds."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

SHOWN_COUNTS = 5
POLL_SECONDS = 0.2


class StageWatcher:
    """Follow `runs/*/stages.jsonl` below a home from now on and print every new line. Use as a `with` block."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lines: list[dict[str, Any]] = []
        self._read = {file: file.stat().st_size for file in self._files()}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> StageWatcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _files(self) -> list[Path]:
        return sorted(self.root.glob("runs/*/stages.jsonl"))

    def _follow(self) -> None:
        while True:
            last = self._done.wait(POLL_SECONDS)
            for file in self._files():
                self._read_new(file)
            if last:
                return

    def _read_new(self, file: Path) -> None:
        with file.open() as stream:
            stream.seek(self._read.get(file, 0))
            # A stage writes its line in one call; a line without its end is read at the next look.
            while (line := stream.readline()).endswith("\n"):
                self._read[file] = stream.tell()
                stage = {**json.loads(line), "run_id": file.parent.name}
                self.lines.append(stage)
                print(describe(stage), flush=True)
                if warned := stage["rows"].get("warned"):
                    print(f"{'':>34}warning: {warned}", flush=True)


def describe(stage: dict[str, Any]) -> str:
    """Return the line of a stage: name, seconds, its first counts."""
    if stage.get("failure"):
        return f"  {stage['stage']:<22}{stage['seconds']:>7.1f} s   FAILED"
    counts = [f"{name} {_show(value)}" for name, value in stage["rows"].items() if _is_shown(value)]
    return f"  {stage['stage']:<22}{stage['seconds']:>7.1f} s   {', '.join(counts[:SHOWN_COUNTS])}"


def _is_shown(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _show(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
