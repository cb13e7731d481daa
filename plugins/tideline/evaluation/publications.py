"""Real runs at a cutoff, each in its own home below `<root>/evaluation/<cutoff>/`: what they publish is what is scored.

They share with the parent home what only grows: the lake, so that landing files are taken in once, and the texts'
vectors. Models are trained anew in there, on what lies before the cutoff. A finished run is used again if its
inputs are the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from embeddings.ledger import ledger_secret
from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.store import TEXT_VECTORS
from embeddings.table_files import model_folder
from tideline import airflow_home
from tideline.commands.dag_runs import RunError
from tideline.evaluation.split import Mode
from tideline.intake import list_batches
from tideline.report import REPOSITORY
from tideline.run import name_run, write_atomically
from tideline.serving import manifest
from tideline.serving.readers import connect
from tideline.window import parse_instant, window_ending

SHARED = ("lake", "quarantine", "ledger.key", "cache")
"""Entries of a home that only grow, or only save time."""
DECIDES = ("embeddings", "plugins/tideline", "dags", "dbt_project")
KINDS = (".py", ".sql", ".yml", ".csv")
NOT_IN_A_RUN = ("evaluation", "commands", "benches", "faults", "ui")
OPENED_BY = "evaluation"
INTERESTS = "interests"


class EvaluationError(RunError):
    """A run of the evaluation failed; the message says where its log is."""


@dataclass(frozen=True)
class Publication:
    """A finished run at a cutoff."""

    cutoff: str
    what: str
    """A mode, or `interests`: the run ended with the vectors of the windows and published nothing."""
    inputs: str
    run_id: str
    generation: str
    model_version: str
    seconds: float


def publish_at(cutoff: datetime, modes: Sequence[Mode], settings: Settings) -> dict[Mode, Publication]:
    """Publish at a cutoff, with repeats allowed and without, as far as it is not done already.

    Raises
    ------
    EvaluationError
        If a run fails.
    """
    home, inputs = _clear(cutoff, settings)
    published = {}
    for mode in modes:
        variables = settings.vars | {"repeats_allowed": mode == "repeats"}
        published[mode] = _read(home, mode) or _run(cutoff, mode, variables, inputs, settings)
    return published


def interests_at(cutoff: datetime, settings: Settings) -> Publication:
    """Make the vectors of the windows at a cutoff, without publishing; raises like `publish_at`."""
    home, inputs = _clear(cutoff, settings)
    return _read(home, INTERESTS) or _run(cutoff, INTERESTS, dict(settings.vars), inputs, settings)


def home_of(cutoff: datetime, settings: Settings) -> Path:
    """Return the home of the runs at a cutoff."""
    return settings.root / "evaluation" / f"{cutoff:%Y%m%dT%H%M%SZ}"


def run_folder(publication: Publication, settings: Settings) -> Path:
    """Return the folder of the run, with its `tables` and `vectors`."""
    return home_of(datetime.fromisoformat(publication.cutoff), settings) / "runs" / publication.run_id


def read_published(publication: Publication, settings: Settings) -> pa.Table:
    """Return `user_id`, `rank`, `item_id` of the published night."""
    inside = _inside(home_of(datetime.fromisoformat(publication.cutoff), settings), dict(settings.vars), settings)
    with connect(inside, publication.generation) as snapshot:
        return snapshot.execute(
            "select user_id, rank, item_id from nightly_recommendations order by user_id, rank"
        ).to_arrow_table()


def _run(cutoff: datetime, what: str, variables: dict[str, Any], inputs: str, settings: Settings) -> Publication:
    home = home_of(cutoff, settings)
    inside = _inside(home, variables, settings)
    _share(home, settings)
    as_of = f"{cutoff:%Y-%m-%dT%H:%M:%S}"
    command = [sys.executable, "-m"]
    command += ["tideline.evaluation.interests", as_of] if what == INTERESTS else ["tideline", "run", "--hours", "0"]
    command += [] if what == INTERESTS else ["--as-of", as_of]
    log = home / f"{what}.log"
    started = time.perf_counter()
    with log.open("w") as stream:
        environment = os.environ | airflow_home.passed_on(inside)
        done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-5:])
        raise EvaluationError(f"the run as of {as_of} ({what}) failed, its log is {log}:\n{tail}")
    seconds = round(time.perf_counter() - started, 3)
    if what == INTERESTS:
        run_id, generation, version = name_run(window_ending("nightly", parse_instant(as_of)), OPENED_BY), "", ""
    else:
        newest = max(manifest.list_manifests(home), key=lambda entry: entry.fence)
        run_id, generation, version = newest.run_id, newest.generation, newest.model_version
    made = Publication(cutoff.isoformat(), what, inputs, run_id, generation, version, seconds)
    write_atomically(home / f"{what}.json", json.dumps(asdict(made), indent=2))
    return made


def _inside(home: Path, variables: dict[str, Any], settings: Settings) -> Settings:
    given = settings.model_dump() | {"home": home, "landing": settings.landing_path, "vars": variables}
    return Settings(**given)


def _share(home: Path, settings: Settings) -> None:
    """Link what is shared into the home; its texts' vectors are the most complete copy there is (hard links)."""
    home.mkdir(parents=True, exist_ok=True)
    ledger_secret(settings)  # makes the key, if there is none yet
    for name in SHARED:
        target = settings.root / name
        if name != "ledger.key":
            target.mkdir(parents=True, exist_ok=True, mode=0o700 if name == "quarantine" else 0o777)
        _link(home / name, target)
    airflow = settings.root / "evaluation" / "airflow"
    airflow.mkdir(exist_ok=True, mode=0o700)
    _link(home / "airflow", airflow)
    folder = model_folder(settings, describe_model(settings).model_id).relative_to(settings.root)
    own = home / folder / f"{TEXT_VECTORS}.lance"
    copies = [settings.root / folder / own.name, *settings.root.glob(f"evaluation/*/{folder}/{own.name}")]
    copies = [copy for copy in copies if copy.is_dir()]
    if own.exists() or not copies:
        return
    fullest = max(copies, key=lambda copy: sum(file.stat().st_size for file in copy.rglob("*")))
    part = own.with_name(f".{own.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    # The store never changes a file that it has written.
    shutil.copytree(fullest, part, copy_function=os.link)
    part.rename(own)


def _link(place: Path, target: Path) -> None:
    if not place.is_symlink():
        place.symlink_to(target, target_is_directory=target.is_dir())


def _clear(cutoff: datetime, settings: Settings) -> tuple[Path, str]:
    """Return the home of a cutoff and the hash of the inputs, without what other inputs or a run that was cut off left.

    Models are trained in there: none of other inputs may be found by a run.
    """
    inputs, home = _digest(settings), home_of(cutoff, settings)
    finished = [done for done in (_read(home, what) for what in ("repeats", "new", INTERESTS)) if done]
    if home.exists() and (not finished or any(done.inputs != inputs for done in finished)):
        shutil.rmtree(home)
    return home, inputs


def _read(home: Path, what: str) -> Publication | None:
    file = home / f"{what}.json"
    return Publication(**json.loads(file.read_text())) if file.exists() else None


def _digest(settings: Settings) -> str:
    """Return a hash of what decides a run's result: batches, settings, code and locked packages."""
    digest = sha256()
    given = settings.model_dump(mode="json", exclude={"home", "landing", "ledger_secret", "ui_port", "threads"})
    batches = [batch["batch_id"] for batch in list_batches(settings.root)]
    digest.update(json.dumps([given, batches], sort_keys=True, default=str).encode())
    for file in sorted(
        file for folder in DECIDES for file in (REPOSITORY / folder).rglob("*.*") if file.suffix in KINDS
    ):
        if not {*NOT_IN_A_RUN, "target"} & set(file.relative_to(REPOSITORY).parts):
            digest.update(f"{file.relative_to(REPOSITORY)}\n".encode() + file.read_bytes())
    digest.update((REPOSITORY / "requirements.lock").read_bytes())
    return digest.hexdigest()[:16]
