"""What each generation recommended to whom, kept for some days, so that exposures and clicks can be joined to it.

`serving/shown/<generation>.parquet` has the columns of `contracts.SHOWN`: ids, rank, sources and model, no text.
Snapshots would do, but few of them are kept and they hold everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from embeddings.failpoints import failpoint
from tideline.contracts import SHOWN
from tideline.run import Run
from tideline.serving.pointer import GENERATION, serving_folder, sync
from tideline.serving.tables import literal


def write_shown(desk: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Write the rows of a run's own layer, from its warehouse on the desk, over those of an earlier attempt."""
    file = _file(run.root, run.generation)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = run.path / "shown.parquet"  # what a kill leaves behind goes with the run's folder
    listed = ", ".join(f'cast("{column.name}" as {column.type}) as "{column.name}"' for column in SHOWN)
    desk.execute(
        f"copy (select {listed} from built.{run.kind}_recommendations order by user_id, rank) "
        f"to {literal(str(part))} (format parquet, compression zstd)"
    )
    sync(part)
    failpoint("shown.rename.before")
    part.replace(file)
    failpoint("shown.rename.after")


def shown_files(root: Path, generations: Iterable[str]) -> list[Path]:
    """Return the files of those generations whose rows are kept. A name comes from an event, and may be anything."""
    files = [_file(root, name) for name in sorted(set(generations)) if GENERATION.fullmatch(name)]
    return [file for file in files if file.exists()]


def click_through(desk: duckdb.DuckDBPyConnection) -> list[tuple[str, str, float, str | None]]:
    """Return the figures of the dbt model `click_through`: metric, subject, value, unit, one row each.

    A rate without exposures is left out, and so are `clicks_without_exposure` where there are none.
    """
    rows: list[tuple[str, str, float, str | None]] = desk.execute(
        """
        select metric, subject, figure, if(metric = 'click_through_rate', null, 'shown items') as unit from (
            unpivot (
                select subject, exposures::double as exposures, clicks::double as clicks,
                    nullif(clicks_without_exposure, 0)::double as clicks_without_exposure, click_through_rate
                from built.click_through
            ) on exposures, clicks, clicks_without_exposure, click_through_rate into name metric value figure
        ) order by subject, metric
        """
    ).fetchall()
    return rows


def forget_shown(root: Path, newest: str, kept: Collection[str], days: int) -> list[str]:
    """Delete the rows of generations more than `days` older than the generation `newest`, `kept` apart.

    Returns
    -------
    list of str
        The names of the files deleted. Files whose name is not ours are left alone.
    """
    oldest = _as_of(newest) - timedelta(days=days)
    deleted = []
    for file in sorted((serving_folder(root) / "shown").glob("*.parquet")):
        if GENERATION.fullmatch(file.stem) and file.stem not in kept and _as_of(file.stem) < oldest:
            file.unlink()
            deleted.append(file.name)
    return deleted


def _file(root: Path, generation: str) -> Path:
    return serving_folder(root) / "shown" / f"{generation}.parquet"


def _as_of(generation: str) -> datetime:
    return datetime.strptime(generation.partition("-")[0], "%Y%m%dT%H%M%SZ")
