"""The folder of a run, from stage to stage: each leaves a ref with the whole of it, and begins from the one before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from embeddings.settings import Settings
from tideline.hosts.groups import COPY, EMBED, RUN_STAGES, kept_of_base, kept_of_run, run_files
from tideline.hosts.objects import Objects
from tideline.hosts.trees import Cache, Laid, entries_of, gather, lay_out, state

RECORDS = "stages.jsonl"
FAILED = "failed-"
WHOLE = "check_recommendations"
"""What a night has left by then, its hours need."""


class RunFolder(NamedTuple):
    """A run's folder as it was laid out for a stage."""

    run_id: str
    stage: str
    part: str | None
    laid: Laid
    known: list[str]
    """Lines of `stages.jsonl` that came with it."""
    parts: frozenset[str]
    """The shards that are done."""
    made_at: str
    """The root that the views of the warehouse name."""


def fetch_run(run_id: str, stage: str, part: str | None, root: Path, objects: Objects, cache: Cache) -> RunFolder:
    """Lay out what a stage needs of its run.

    Raises
    ------
    FileNotFoundError
        If the run was never opened in this store.
    """
    name = f"runs/{run_id}"
    refs = {found.name.removeprefix(f"{name}/") for found in objects.list_refs(name)}
    parts = frozenset(ref.removeprefix(f"{EMBED}/") for ref in refs if ref.startswith(f"{EMBED}/"))
    if stage == "open_run":
        objects.delete_refs(f"{name}/{ref}" for ref in refs)
        return RunFolder(run_id, stage, part, {}, [], frozenset(), str(root))
    last = next((earlier for earlier in reversed(_before(stage)) if earlier in refs), None)
    if last is None:
        raise FileNotFoundError(f"run {run_id} is not in the store: rerun its DAG run from the first task")
    # A part that was done before is taken as it is: a repeated call finds it done.
    wanted = {EMBED: parts & {part or ""}, "collect_vectors": parts}.get(stage, frozenset())
    names = [last, *(f"{EMBED}/{done}" for done in sorted(wanted))]
    read = [ref.values for each in names if (ref := objects.read_ref(f"{name}/{each}"))]
    of_parts = {path for values in read[1:] for path in values["files"]}
    entries = {path: entry for values in read for path, entry in entries_of(values["files"]).items()}
    laid = lay_out(entries, root, cache, lambda path: not (path in of_parts or kept_of_run(stage, part, path)))
    lines = list(dict.fromkeys(line for values in read for line in values["stages"]))
    (root / name / RECORDS).write_text("".join(f"{line}\n" for line in lines))
    return RunFolder(run_id, stage, part, laid, lines, parts, read[0]["root"])


def move_views(run: RunFolder, root: Path) -> None:
    """Let views of the warehouse, which name the folder in which they were made, name this one."""
    path = f"runs/{run.run_id}/warehouse.duckdb"
    if path not in run.laid or run.laid[path][1] is None:
        return
    import duckdb

    with duckdb.connect(str(root / path)) as connection:
        views = connection.execute(
            "select sql from duckdb_views() where not internal and contains(sql, ?)", [run.made_at]
        ).fetchall()
        for (sql,) in views:
            here = sql.replace(run.made_at, str(root))
            connection.execute(here.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
    run.laid[path] = (run.laid[path][0], state(root / path))  # no change that others need


def push_run(run: RunFolder, root: Path, objects: Objects, cache: Cache) -> None:
    """Leave the run's folder as the stage has made it; of a part, what it has added."""
    folder = root / "runs" / run.run_id
    lines = (folder / RECORDS).read_text().splitlines() if (folder / RECORDS).exists() else []
    name = f"runs/{run.run_id}/{run.stage}"
    entries = gather(run_files(root, run.run_id), root, run.laid, cache)
    if run.part is not None:
        name += f"/{run.part}"
        entries = {path: entry for path, entry in entries.items() if path not in run.laid}
        lines = [line for line in lines if line not in run.known]
        if not entries:
            return  # it was done before
    warehouse = f"runs/{run.run_id}/warehouse.duckdb"
    same = warehouse in entries and warehouse in run.laid and entries[warehouse] == run.laid[warehouse][0]
    values = {
        "files": {path: list(entry) for path, entry in sorted(entries.items())},
        "stages": lines,
        "root": run.made_at if same else str(root),
    }
    objects.set_ref(name, values)


def push_docs(run: RunFolder, root: Path, objects: Objects, cache: Cache) -> None:
    """Leave what the gates wrote of a stage that failed: its pages say why."""
    docs = [file for file in run_files(root, run.run_id) if file.is_relative_to(root / "data_docs")]
    if docs:
        files = {path: list(entry) for path, entry in gather(docs, root, {}, cache).items()}
        objects.set_ref(f"runs/{run.run_id}/{FAILED}{run.stage}", {"files": files, "stages": [], "root": str(root)})


def fetch_base(run: RunFolder, settings: Settings, objects: Objects, cache: Cache) -> None:
    """Lay out the night that an hour goes on from: the one it has pinned, or the one that it will pin now."""
    if run.stage in ("open_run", EMBED, COPY):
        return
    root = settings.root
    values: dict[str, Any] = json.loads((root / "runs" / run.run_id / "run.json").read_text())
    base = values["base"]
    if run.stage == "take_in" and values["window"]["kind"] == "hourly":
        base = _base_to_pin(run.run_id, settings, objects)
    ref = objects.read_ref(f"runs/{base}/{WHOLE}") if base else None
    if ref:
        lay_out(entries_of(ref.values["files"]), root, cache, lambda path: not kept_of_base(path))


def _base_to_pin(run_id: str, settings: Settings, objects: Objects) -> str | None:
    from tideline.run import load_run
    from tideline.serving.manifest import base_for

    for found in objects.list_refs("runs"):
        _, name, stage = found.name.split("/", 2)
        if stage == WHOLE:
            # That its tables are there is how a night is told to be kept.
            (settings.root / "runs" / name / "tables").mkdir(parents=True, exist_ok=True)
    entry = base_for(load_run(run_id, settings), settings.root)
    return entry.run_id if entry else None


def _before(stage: str) -> tuple[str, ...]:
    """Return the stages before one, in their order."""
    follows = {EMBED: "collect_vectors", COPY: "check_behaviour"}
    return RUN_STAGES[: RUN_STAGES.index(follows.get(stage, stage))]
