"""The only caller of dbt: builds a selection of models in one DuckDB file, in this process and quietly."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from embeddings.settings import Settings

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
PARSED = "partial_parse.msgpack"


class WarehouseError(RuntimeError):
    """A dbt build failed: the message names the models and tests, and where dbt's log is."""


def build(
    database: Path,
    *,
    select: Sequence[str],
    source: str,
    vars: Mapping[str, Any],
    target_path: Path,
    settings: Settings,
    cache: Path | None = None,
    exclude: Sequence[str] = (),
    full_refresh: bool = False,
    command: Literal["build", "test"] = "build",
) -> dict[str, float]:
    """Run `dbt build` in this process on one DuckDB file, quietly.

    Parameters
    ----------
    database
        The DuckDB file; made if it does not exist. Nobody else may have it open.
    select, exclude
        dbt node selections.
    source, vars
        Become dbt's `--vars`: `{source: <source>, **vars}`.
    target_path
        Folder for dbt's artifacts and log, this call's own.
    cache
        Folder that keeps parsed projects between calls, so that a fresh `target_path` costs no full parse.
    command
        `test` runs only tests: dbt runs unit tests alone no other way.

    Returns
    -------
    dict
        `models`, `tests`, `warnings` (counts) and `seconds`.

    Raises
    ------
    WarehouseError
        If dbt cannot start, or a model or test fails.
    """
    from dbt.cli.main import dbtRunner

    started = time.monotonic()
    database, target_path = database.resolve(), target_path.resolve()
    database.parent.mkdir(parents=True, exist_ok=True)
    target_path.mkdir(parents=True, exist_ok=True)
    given = json.dumps({"source": source, **vars}, sort_keys=True)
    arguments = ["--quiet", "--log-level", "none", "--log-level-file", "info", "--log-path", str(target_path), command]
    arguments += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(target_path)]
    arguments += ["--vars", given, "--select", *select]
    arguments += ["--exclude", *exclude] if exclude else []
    arguments += ["--full-refresh"] if full_refresh else []
    # A path relative to the working folder keeps dbt's hash of the connection, hence its parsed project, valid for
    # every run's file; the file's name is part of every relation's name.
    parsed = cache / sha256(f"{given}\n{database.name}".encode()).hexdigest()[:16] / PARSED if cache else None
    if parsed and parsed.exists():
        shutil.copyfile(parsed, target_path / PARSED)
    with chdir(database.parent), _profile(database.name, settings):
        outcome = dbtRunner().invoke(arguments)
    _check(outcome, target_path)
    if parsed and (target_path / PARSED).exists():
        parsed.parent.mkdir(parents=True, exist_ok=True)
        part = parsed.with_name(f".{os.getpid()}.part")
        shutil.copyfile(target_path / PARSED, part)
        part.replace(parsed)
    kinds = [(result.node.resource_type, result.status) for result in outcome.result.results]
    return {
        "models": sum(kind in ("model", "seed") for kind, _ in kinds),
        "tests": sum(kind in ("test", "unit_test") for kind, _ in kinds),
        "warnings": sum(status == "warn" for _, status in kinds),
        "seconds": round(time.monotonic() - started, 3),
    }


@contextmanager
def _profile(name: str, settings: Settings) -> Iterator[None]:
    """Set the variables that `profiles.yml` reads, for the time of one call."""
    values = {
        "TIDELINE_WAREHOUSE": name,
        "TIDELINE_WAREHOUSE_THREADS": str(settings.threads),
        "TIDELINE_WAREHOUSE_MEMORY": settings.memory_limit,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    os.environ.update(values)
    try:
        yield
    finally:
        for key in values:
            os.environ.pop(key, None)


def _check(outcome: Any, target_path: Path) -> None:
    """Raise if the build failed. Quoted values are left out of the message: they may come from a user's row."""
    if outcome.success:
        return
    log = target_path / "dbt.log"
    if outcome.result is None or not hasattr(outcome.result, "results"):
        raise WarehouseError(
            f"dbt could not start: {_unquoted(str(outcome.exception))}; see {log}"
        ) from outcome.exception
    failed = [
        f"{result.node.name}: {_unquoted(result.message or result.status)}"
        for result in outcome.result.results
        if result.status in ("error", "fail", "runtime error")
    ]
    raise WarehouseError(f"dbt failed on {'; '.join(failed)}; see {log}")


def _unquoted(message: str) -> str:
    return re.sub(r"'[^'\n]*'", "'...'", " ".join(message.split()))


def digest_project() -> str:
    """Return a hash of all models, macros and seeds: an edited one builds a generation of another name."""
    digest = sha256()
    for file in sorted(file for kind in ("sql", "yml", "csv") for file in PROJECT.rglob(f"*.{kind}")):
        if "target" not in file.parts:
            digest.update(f"{file.relative_to(PROJECT)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]
