"""A stored plan and its shards: what they are called, where they lie, how they are read back.

`<out>/shards/`, readable by its owner only, belongs to one run: `plan.json`; `item_keys.parquet` and
`event_keys.parquet`, the key of each row's text; `<shard>.parquet`, the texts of a shard; `<shard>.json`, what became
of it; `item_vectors.parquet`, those that an hour carries. The vectors of finished shards wait for their commit in
`<root>/vectors/<model>/shards/`, without any text, so that they outlive a run that is killed or opened again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from embeddings.failpoints import failpoint
from embeddings.model import Model
from embeddings.settings import Settings
from embeddings.table_files import link_file, model_folder
from embeddings.vector_files import ITEMS_FILE, text_file

KINDS = ("item", "event")
"""What has a text; each has its prompt and its file of keys."""


Record = dict[str, Any]
"""What became of a shard; see `shard.encode_shard`."""


class PlanError(RuntimeError):
    """A plan or a shard that cannot be used; the message says what to do."""


class Shard(NamedTuple):
    """Some of the texts of a plan: what one worker embeds in one task."""

    name: str
    """Number and a hash of its keys: a shard of the same name holds the same texts, whichever run planned it."""
    texts: int
    tokens: int


class Plan(NamedTuple):
    """What a run embeds, and with which model."""

    model: str
    shards: tuple[Shard, ...]
    counts: dict[str, int]
    """Rows: `items`, `events`, `asked` (in all), `empty` (of these). Different texts: `unique`, `known` (of these)."""


def folder_of(out: Path) -> Path:
    """Return the folder of a run's plan."""
    return out / "shards"


def keys_file(out: Path, kind: str) -> Path:
    """Return the file with `<kind>_id` and `key` of the rows that have a text, in their order."""
    return folder_of(out) / f"{kind}_keys.parquet"


def texts_file(out: Path, shard: str) -> Path:
    """Return the file with the texts of a shard: `key`, `kind`, `text`, `cut` and `tokens`."""
    return folder_of(out) / f"{shard}.parquet"


def record_file(out: Path, shard: str) -> Path:
    """Return the file that says what became of a shard of this run; see `shard.encode_shard`."""
    return folder_of(out) / f"{shard}.json"


def finished_folder(settings: Settings, model_id: str) -> Path:
    """Return the folder in which the vectors of finished shards wait for their commit."""
    return model_folder(settings, model_id) / "shards"


def vectors_file(settings: Settings, model_id: str, shard: str) -> Path:
    """Return the file with `key` and `vector` of a finished shard."""
    return finished_folder(settings, model_id) / f"{shard}.parquet"


def prompt_of(model: Model, kind: str) -> str:
    """Return what is put before a text of this kind."""
    return model.item_prompt if kind == "item" else model.user_prompt


def carried_file(out: Path) -> Path:
    """Return the file with the item vectors that a run carries; it is there if it carries some."""
    return folder_of(out) / ITEMS_FILE


def carry_items(base: Path, out: Path, model: Model) -> bool:
    """Put the keys and text vectors of the items of another run beside the plan; return False if they do not suit.

    They suit if they were made by this model and are both there.
    """
    keys, vectors = keys_file(base, "item"), text_file(base, ITEMS_FILE)
    try:
        if (pq.read_schema(vectors).metadata or {}).get(b"model", b"").decode() != model.model_id:
            return False
        link_file(keys, keys_file(out, "item"))
        link_file(vectors, carried_file(out))
    except FileNotFoundError:
        keys_file(out, "item").unlink(missing_ok=True)
        return False
    return True


def save_plan(out: Path, plan: Plan) -> None:
    """Store a plan; by its rename it holds."""
    file = folder_of(out) / "plan.json"
    part = file.with_suffix(".part")
    shards = [shard._asdict() for shard in plan.shards]
    part.write_text(json.dumps({"model": plan.model, "shards": shards, "counts": plan.counts}, indent=1))
    failpoint("plan.save.before")
    part.replace(file)
    failpoint("plan.save.after")


def read_plan(out: Path, model: Model) -> Plan:
    """Read the plan of a run back.

    Raises
    ------
    PlanError
        If there is none, or it was made for another model: two models never meet.
    """
    file = folder_of(out) / "plan.json"
    if not file.is_file():
        raise PlanError(
            f"no plan in {file.parent}: plan the texts first (task plan_texts, or python -m embeddings plan)"
        )
    values = json.loads(file.read_text())
    if values["model"] != model.model_id:
        raise PlanError(
            f"the plan in {file.parent} is for model {values['model']}, here it is {model.model_id}: give this worker "
            "the settings and the model files of the planner, or plan again"
        )
    return Plan(values["model"], tuple(Shard(**shard) for shard in values["shards"]), values["counts"])


def find_shard(plan: Plan, name: str) -> Shard:
    """Return the shard of a name, or of a number from 0.

    Raises
    ------
    PlanError
        If the plan has no such shard.
    """
    for number, shard in enumerate(plan.shards):
        if name in (shard.name, str(number)):
            return shard
    raise PlanError(
        f"the plan has no shard {name!r}, only {len(plan.shards)} others: it was planned again, use its names"
    )
