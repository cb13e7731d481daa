"""One commit makes the shards of a run visible, then its rows get their vectors from the ledger: two files."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.ledger import commit_shards, find_text_vectors
from embeddings.model import Model, describe_model
from embeddings.settings import Settings
from embeddings.shard_files import (
    KINDS,
    Plan,
    PlanError,
    Record,
    carried_file,
    keys_file,
    read_plan,
    record_file,
    texts_file,
    vectors_file,
)
from embeddings.vector_files import ITEMS_FILE, KEY_BYTES, ROW_GROUP, carry, to_column, vector_schema, writing

log = logging.getLogger(__name__)

ROWS_A_BLOCK = 100_000
"""Rows handled at a time: about 0.5 GB at 384 dimensions, whatever the size of the run."""

Counts = dict[str, int | float | str]


def collect_vectors(out: Path, settings: Settings) -> Counts:
    """Commit the vectors of all shards, then write `item_vectors.parquet` and `event_vectors.parquet` below `out`.

    The files hold the rows that have a vector, in their order. The vectors are read back from the ledger, so this run
    and every other one agree to the bit. The texts of the shards are removed; the keys and the records stay.

    Returns
    -------
    dict
        `model`; rows and vectors: `items`, `item_vectors`, `events`, `event_vectors`, `asked` (rows in all), `empty`
        (of these, without content); texts: `unique`, and of these `known` (in the ledger before), `embedded` and
        `failed` (broke the encoder); of the embedded: `tokens`, `truncated`, `seconds` (summed over the workers),
        `tokens_per_second` (of one worker) and `backend`.

    Raises
    ------
    PlanError
        If the run has no plan, a shard was not embedded, or the ledger lacks a vector that it should have.
    """
    model = describe_model(settings)
    plan = read_plan(out, model)
    records = [_record(out, shard.name) for shard in plan.shards]
    commit_shards(settings, model, [vectors_file(settings, model.model_id, shard.name) for shard in plan.shards])
    failed = pa.array(
        sorted({bytes.fromhex(one["key"]) for record in records for one in record["failed"]}), pa.binary(KEY_BYTES)
    )
    written = {kind: _write_vectors(settings, model, kind, out, failed) for kind in KINDS}
    for shard in plan.shards:
        texts_file(out, shard.name).unlink(missing_ok=True)
    counts = {**_counts(plan, records), "item_vectors": written["item"], "event_vectors": written["event"]}
    log.info("collected %s", counts)
    return {"model": plan.model, **counts}


def _record(out: Path, shard: str) -> Record:
    file = record_file(out, shard)
    if not file.is_file():
        raise PlanError(
            f"shard {shard} in {file.parent} was not embedded: run it (clear its task embed_shard, or "
            f"python -m embeddings shard --shard {shard})"
        )
    return dict(json.loads(file.read_text()))


def _write_vectors(settings: Settings, model: Model, kind: str, out: Path, failed: pa.Array) -> int:
    """Write the vectors of a kind's rows, or put those there that are carried; return how many there are."""
    carried = carried_file(out)
    if kind == "item" and carried.exists():
        carry(carried, out / ITEMS_FILE)
        return int(pq.read_metadata(carried).num_rows)
    id_column = f"{kind}_id"
    schema = vector_schema(id_column, model.dimension, model.model_id, model_column=kind == "item")
    count = 0
    with writing(out / f"{kind}_vectors.parquet", schema) as writer, pq.ParquetFile(keys_file(out, kind)) as rows:
        for batch in rows.iter_batches(ROWS_A_BLOCK):
            codes = batch["key"].dictionary_encode()
            known, vectors = find_text_vectors(settings, model, codes.dictionary)
            _refuse_lost(codes.dictionary.filter(pa.array(~known)), failed, out)
            place = codes.indices.to_numpy()
            has_vector: NDArray[np.bool_] = known[place]
            arrays = [batch[id_column].filter(pa.array(has_vector)), to_column(vectors[place[has_vector]])]
            if "model" in schema.names:
                arrays.append(pa.repeat(pa.scalar(model.model_id), len(arrays[0])))
            writer.write_table(pa.table(arrays, schema=schema), row_group_size=ROW_GROUP)
            count += len(arrays[0])
    return count


def _refuse_lost(missing: pa.Array, failed: pa.Array, out: Path) -> None:
    if lost := len(set(missing.to_pylist()) - set(failed.to_pylist())):
        raise PlanError(f"the ledger lacks {lost} vectors of the plan in {out}: plan again (clear the task plan_texts)")


def _counts(plan: Plan, records: list[Record]) -> dict[str, int | float | str]:
    sums = Counter[str]()
    for record in records:
        sums.update({name: record[name] for name in ("embedded", "tokens", "truncated", "seconds")})
    seconds = float(sums["seconds"])
    return {
        "unique": plan.counts["unique"],
        "known": plan.counts["known"],
        "embedded": sums["embedded"],
        "failed": sum(len(record["failed"]) for record in records),
        "tokens": sums["tokens"],
        "truncated": sums["truncated"],
        "seconds": round(seconds, 3),
        "tokens_per_second": round(sums["tokens"] / seconds) if seconds else 0,
        "backend": ", ".join(sorted({record["backend"] for record in records})),
        **plan.counts,
    }
