"""One run: its window, its pinned batches and its own folder `runs/<run_id>/`, shared with nobody until commit."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from embeddings.home import check_home
from embeddings.settings import Settings
from tideline import __version__
from tideline.window import Window

RUN_ID = re.compile(r"^(nightly|hourly|training)-\d{8}T\d{6}Z-[0-9a-f]{8}$")


@dataclass(frozen=True)
class Run:
    """What a run acts on. Every stage reads it from `run.json`; nobody changes it after `pin`."""

    run_id: str
    window: Window
    root: Path
    source: str
    vars: Mapping[str, Any] = field(default_factory=dict)
    batches: tuple[str, ...] = ()
    """Pinned lake batches, in reading order."""
    new_batches: tuple[str, ...] = ()
    """Pinned batches that no committed run has used: their users are touched, however old the events."""
    base: str | None = None
    """For an hour: run id of the nightly whose item tables it carries; None if it must build them itself."""
    generation: str = ""
    """`<as_of>-<kind>-<hash of the inputs>`; set by `pin`."""
    model_version: str = ""
    """Ranker and encoder; set by `pin`."""
    model: str | None = None
    """Trained version that joins, fuses and ranks: a folder below `<root>/models/`; of an hour, that of its base, of a
    training the one to beat. None: nothing was trained."""

    @property
    def kind(self) -> str:
        """`nightly`, `hourly` or `training`."""
        return self.window.kind

    @property
    def of_everyone(self) -> bool:
        """Whether everyone is in its scope, not only whoever was active."""
        return self.kind != "hourly"

    @property
    def path(self) -> Path:
        """The run's own folder."""
        return self.root / "runs" / self.run_id

    @property
    def warehouse(self) -> Path:
        """The run's own DuckDB file."""
        return self.path / "warehouse.duckdb"

    @property
    def tables(self) -> Path:
        """Folder of the tables that leave the warehouse as Parquet: `<table>.parquet`."""
        return self.path / "tables"

    @property
    def vectors(self) -> Path:
        """Folder of `item_vectors.parquet`, `event_vectors.parquet` and `user_vectors.parquet`; text alone: `text/`."""
        return self.path / "vectors"

    @property
    def scored(self) -> Path:
        """Folder of the ranked rows: `part-<n>.parquet`, columns `contracts.SCORED`."""
        return self.path / "scored"

    @property
    def faithfulness(self) -> Path:
        """File of a night: what the events that its rows cite are worth; rows of `quality_metrics`, JSON."""
        return self.path / "faithfulness.json"

    @property
    def base_tables(self) -> Path | None:
        """`tables` of the base nightly, if there is one."""
        return self.root / "runs" / self.base / "tables" if self.base else None

    @property
    def base_vectors(self) -> Path | None:
        """`vectors` of the base nightly, if there is one."""
        return self.root / "runs" / self.base / "vectors" if self.base else None

    @property
    def space(self) -> Path | None:
        """Folder of the trained version's space of item vectors; None where it has none, and texts speak alone."""
        folder = self.trained / "space" if self.trained else None
        return folder if folder and folder.is_dir() else None

    @property
    def trained(self) -> Path | None:
        """Folder of the trained version, if there is one."""
        return self.root / "models" / self.model if self.model else None

    def save(self) -> None:
        """Write `run.json` atomically."""
        self.path.mkdir(parents=True, exist_ok=True)
        values = {
            "run_id": self.run_id,
            "window": self.window.to_json(),
            "source": self.source,
            "vars": dict(self.vars),
            "batches": list(self.batches),
            "new_batches": list(self.new_batches),
            "base": self.base,
            "generation": self.generation,
            "model_version": self.model_version,
            "model": self.model,
        }
        write_atomically(self.path / "run.json", json.dumps(values, indent=2, sort_keys=True))


def name_run(window: Window, token: str) -> str:
    """Return the run id: kind, `as_of`, and eight hex digits of whatever tells two runs of one window apart."""
    return f"{window.kind}-{window.as_of:%Y%m%dT%H%M%SZ}-{sha256(token.encode()).hexdigest()[:8]}"


def load_run(run_id: str, settings: Settings) -> Run:
    """Read a run back.

    Raises
    ------
    ValueError
        If `run_id` is no run id.
    FileNotFoundError
        If the run was never opened below this `TIDELINE_HOME`, or was cleaned up.
    HomeError
        If the home is of a newer Tideline.
    """
    check_home(settings.root)
    if not RUN_ID.match(run_id):
        raise ValueError(f"{run_id!r} is no run id, expected {RUN_ID.pattern}")
    file = settings.root / "runs" / run_id / "run.json"
    if not file.exists():
        raise FileNotFoundError(f"run {run_id} is not below {settings.root}: rerun its DAG run from the first task")
    values = json.loads(file.read_text())
    return Run(
        run_id=values["run_id"],
        window=Window.from_json(values["window"]),
        root=settings.root,
        source=values["source"],
        vars=values["vars"],
        batches=tuple(values["batches"]),
        new_batches=tuple(values["new_batches"]),
        base=values["base"],
        generation=values["generation"],
        model_version=values["model_version"],
        model=values.get("model"),
    )


def name_generation(run: Run, extra: Mapping[str, Any]) -> str:
    """Name a generation by its inputs, so that a rerun of the same inputs builds the generation of the same name.

    `extra` holds the settings that decide a result beside the run's own fields.
    """
    inputs = {
        "version": __version__,
        "window": run.window.to_json(),
        "source": run.source,
        "vars": dict(run.vars),
        "batches": list(run.batches),
        "model": run.model_version,
        **extra,
    }
    digest = sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
    return f"{run.window.as_of:%Y%m%dT%H%M%SZ}-{run.kind}-{digest[:8]}"


def write_atomically(file: Path, text: str) -> None:
    """Write a small text file so that a reader sees the old content or the new, also after a crash."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    with part.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
