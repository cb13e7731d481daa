"""One shard of a plan becomes vectors: what a worker does, on its own, as often as it takes."""

from __future__ import annotations

import json
import logging
import secrets
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.encoder import load_encoder
from embeddings.failpoints import failpoint
from embeddings.model import Model, describe_model
from embeddings.settings import Settings
from embeddings.shard_files import (
    PlanError,
    Record,
    find_shard,
    prompt_of,
    read_plan,
    record_file,
    texts_file,
    vectors_file,
)
from embeddings.vector_files import ROW_GROUP, text_vector_schema, to_column, writing

log = logging.getLogger(__name__)


def encode_shard(out: Path, name: str, settings: Settings) -> Record:
    """Embed the texts of one shard, or find that it is done, and record what became of them.

    The vectors get their file's name when all are there, then the record is written: a worker that is killed has done
    nothing, and its shard is done again as a whole. A text that breaks the encoder is recorded, gets no vector, and
    belongs to the next plan again.

    Parameters
    ----------
    out
        Folder of the run's vectors, with its plan.
    name
        Name of the shard, or its number from 0.

    Returns
    -------
    dict
        `shard`, `backend`, `texts`, `embedded`, `tokens` (computed, padding not counted), `truncated` (longer than the
        model reads, or cut to `texts.LONGEST`), `seconds` (of encoding, without loading the model), and `failed`: for
        each text that broke the encoder its `key` in hexadecimal digits, its `kind`, `characters` and `error` (class).

    Raises
    ------
    PlanError
        If there is no such plan or shard, or it is of another model.
    ModelError
        If the model cannot be used on this machine.
    """
    model = describe_model(settings)
    shard = find_shard(read_plan(out, model), name)
    file, record = vectors_file(settings, model.model_id, shard.name), record_file(out, shard.name)
    if record.exists():
        log.info("%s was done before", shard.name)
        return dict(json.loads(record.read_text()))
    done = _finished(file)
    if done is None:
        done = _encode(out, shard.name, settings, model, file)
    part = record.with_suffix(f".{secrets.token_hex(4)}.part")
    part.write_text(json.dumps(done, indent=1))
    failpoint("shard.record.before")
    part.replace(record)
    failpoint("shard.record.after")
    if done["failed"]:
        log.warning("%d texts broke the encoder and have no vector, see %s", len(done["failed"]), record)
    return done


def _finished(file: Path) -> Record | None:
    """Return the record that lies in a file of vectors: of a worker that was killed before it could write it down."""
    try:
        return dict(json.loads(pq.read_metadata(file).metadata[b"record"]))
    except (FileNotFoundError, pa.ArrowInvalid):
        return None


def _encode(out: Path, shard: str, settings: Settings, model: Model, file: Path) -> Record:
    if not texts_file(out, shard).is_file():
        raise PlanError(f"the texts of {shard} are gone from {out}: plan again (clear the task plan_texts)")
    texts = pq.read_table(texts_file(out, shard))
    encoder = load_encoder(settings, texts["text"].to_pylist())
    started = time.perf_counter()
    prompts = [prompt_of(model, kind) for kind in texts["kind"].to_pylist()]
    vectors = np.empty((len(texts), model.dimension), dtype=np.float32)
    order: list[int] = []
    failed: dict[int, str] = {}
    tokens = truncated = 0
    for prompt in sorted(set(prompts)):
        rows = [row for row, own in enumerate(prompts) if own == prompt]
        words = texts["text"].take(pa.array(rows)).to_pylist()
        cut = {
            text for text, was_cut in zip(words, texts["cut"].take(pa.array(rows)).to_pylist(), strict=True) if was_cut
        }
        for batch in encoder.batches(words, prompt, cut):
            vectors[len(order) : len(order) + len(batch.rows)] = batch.vectors
            order += [rows[row] for row in batch.rows]
            failed |= {rows[row]: error for row, error in batch.failed.items()}
            tokens += batch.tokens
            truncated += batch.truncated
    done: Record = {
        "shard": shard,
        "backend": encoder.backend,
        "texts": len(texts),
        "embedded": len(order),
        "tokens": tokens,
        "truncated": truncated,
        "seconds": round(time.perf_counter() - started, 3),
        "failed": [
            {
                "key": texts["key"][row].as_py().hex(),
                "kind": texts["kind"][row].as_py(),
                "characters": len(texts["text"][row].as_py()),
                "error": error,
            }
            for row, error in sorted(failed.items())
        ],
    }
    schema = text_vector_schema(model.dimension).with_metadata({"record": json.dumps(done)})
    with writing(file, schema) as writer:
        columns = [texts["key"].take(pa.array(order, pa.int64())).combine_chunks(), to_column(vectors[: len(order)])]
        writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP)
    return done
