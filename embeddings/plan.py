"""The plan of a run's texts: those that have no vector yet, cut into shards, stored before anything is encoded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.ledger import adopt_shards, known_texts, ledger_secret, text_key
from embeddings.model import Model, describe_model
from embeddings.settings import Settings
from embeddings.shard_files import (
    KINDS,
    Plan,
    Shard,
    carry_items,
    folder_of,
    keys_file,
    prompt_of,
    save_plan,
    texts_file,
)
from embeddings.texts import event_text, is_cut, item_text, normalise
from embeddings.tokens import count_tokens
from embeddings.vector_files import KEY_BYTES

log = logging.getLogger(__name__)

TEXTS_A_BLOCK = 100_000
"""Texts read and looked up at a time."""
TEXTS_A_COUNT = 1024
"""Texts tokenised at a time."""
MOST_SHARDS = 1000
"""Shards of a plan: Airflow maps a task over 1,024 at most. Beyond, they hold more tokens."""

_KEY = pa.binary(KEY_BYTES)
_TEXTS = pa.schema(
    [("key", _KEY), ("kind", pa.string()), ("text", pa.large_string()), ("cut", pa.bool_()), ("tokens", pa.int64())]
)


def plan_texts(items: Path, event_texts: Path, out: Path, settings: Settings, base: Path | None = None) -> Plan:
    """Look up every text of a run and store the plan of those that have no vector, in place of an earlier plan.

    Shards that other plans finished and did not commit are committed first: what a killed run embedded is known. The
    missing texts are ordered by tokens, then by key, and cut at `settings.shard_tokens`. Loads no weights. Memory holds
    a block of texts, the keys of all and the order of the missing ones; missing texts wait on the disk.

    Parameters
    ----------
    items
        Parquet with `item_id`, `title`, `category`, `description`.
    event_texts
        Parquet with `event_id`, `event_text`. Ordered by user it makes window vectors cheap in memory.
    out
        Folder of the run's vectors, made if missing; the plan goes to `shards/` in it.
    base
        The same folder of the run whose items an hour carries, texts and all. Where it has their vectors by this model
        they are taken from there, and no item is looked up.

    Raises
    ------
    ModelError
        If the configured model cannot be used.
    FileNotFoundError
        If a table of the run is missing.
    """
    model = describe_model(settings)
    folder = folder_of(out)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "plan.json").unlink(missing_ok=True)  # first: without it nobody takes the rest for a plan
    for file in folder.iterdir():
        file.unlink()
    adopt_shards(settings, model)
    pending = folder / "pending.arrow"
    seen: list[pa.Array] = []
    carried = base is not None and carry_items(base, out, model)
    with pa.ipc.new_file(pending, _TEXTS) as writer:
        for kind, source in zip(KINDS, (items, event_texts), strict=True):
            if kind == "item" and carried:
                seen.append(pq.read_table(keys_file(out, kind), columns=["key"])["key"].unique())
                continue
            for block in _key_rows(kind, source, out, settings, model):
                seen.append(block["key"].combine_chunks())
                missing = block.filter(pa.array(~known_texts(settings, model, seen[-1])))
                writer.write_table(_with_tokens(missing, settings, prompt_of(model, kind)))
    shards = tuple(_cut(pending, out, settings.shard_tokens))
    pending.unlink()
    rows = {kind: pq.read_metadata(source).num_rows for kind, source in zip(KINDS, (items, event_texts), strict=True)}
    with_text = sum(pq.read_metadata(keys_file(out, kind)).num_rows for kind in KINDS)
    unique = len(pa.chunked_array(seen, _KEY).unique())
    counts = {
        "unique": unique,
        "known": unique - sum(shard.texts for shard in shards),
        "asked": sum(rows.values()),
        "empty": sum(rows.values()) - with_text,
        "items": rows["item"],
        "events": rows["event"],
    }
    plan = Plan(model.model_id, shards, counts)
    save_plan(out, plan)
    log.info("%d shards of %d tokens: %s", len(shards), sum(shard.tokens for shard in shards), counts)
    return plan


def _item(title: str | None, category: str | None, description: str | None) -> tuple[str, bool]:
    joined = item_text(title, category, description)
    return normalise(joined), is_cut(title, category, description, joined)


def _event(text: str | None) -> tuple[str, bool]:
    return event_text(text), is_cut(text)


_READ: dict[str, tuple[list[str], Callable[..., tuple[str, bool]]]] = {
    "item": (["title", "category", "description"], _item),
    "event": (["event_text"], _event),
}


def _key_rows(kind: str, source: Path, out: Path, settings: Settings, model: Model) -> Iterator[pa.Table]:
    """Write the key of every row that has a text; yield the different texts of each block: key, kind, text, cut."""
    columns, read = _READ[kind]
    secret, prompt = ledger_secret(settings), prompt_of(model, kind)
    schema = pa.schema([(f"{kind}_id", pa.string()), ("key", _KEY)])
    with pq.ParquetWriter(keys_file(out, kind), schema) as writer, pq.ParquetFile(source) as rows:
        for batch in rows.iter_batches(TEXTS_A_BLOCK, columns=[f"{kind}_id", *columns]):
            texts = [read(*row) for row in zip(*(batch[column].to_pylist() for column in columns), strict=True)]
            # A text that was cut for one row and whole for another is cut.
            cut = {text: was_cut for text, was_cut in sorted(texts) if text}
            keys = {text: text_key(secret, model.model_id, prompt, text) for text in cut}
            has_text = pa.array([bool(text) for text, _ in texts], pa.bool_())
            ids = batch[f"{kind}_id"].filter(has_text).cast(pa.string())
            writer.write_table(
                pa.table([ids, pa.array([keys[text] for text, _ in texts if text], _KEY)], schema=schema)
            )
            arrays = [list(keys.values()), [kind] * len(keys), list(cut), list(cut.values())]
            yield pa.table(
                [pa.array(values, field.type) for values, field in zip(arrays, _TEXTS, strict=False)], _TEXTS.names[:-1]
            )


def _with_tokens(texts: pa.Table, settings: Settings, prompt: str) -> pa.Table:
    parts = [
        count_tokens(settings, texts["text"].slice(start, TEXTS_A_COUNT).to_pylist(), prompt)
        for start in range(0, len(texts), TEXTS_A_COUNT)
    ]
    return texts.append_column("tokens", pa.array(np.concatenate(parts) if parts else [], pa.int64())).cast(_TEXTS)


def _cut(pending: Path, out: Path, shard_tokens: int) -> Iterator[Shard]:
    """Write the shards of the texts that wait in a file; the file is mapped, not read into memory."""
    with pa.memory_map(str(pending)) as source:
        blocks = pa.ipc.open_file(source)
        batches = [blocks.get_batch(number) for number in range(blocks.num_record_batches)]
        starts = np.cumsum([0, *(len(batch) for batch in batches)])
        waiting = pa.Table.from_batches(batches, _TEXTS)
        words, tokens = _words(waiting["key"]), waiting["tokens"].to_numpy()
        order = _order(words, tokens, waiting["cut"].to_numpy())
        size = max(shard_tokens, -(-int(tokens[order].sum()) // MOST_SHARDS))
        place = (np.cumsum(tokens[order]) - tokens[order]) // size
        parts = np.split(order, np.flatnonzero(np.diff(place)) + 1) if len(order) else []
        for number, part in enumerate(parts):
            digest = blake2b(words[part].tobytes(), digest_size=8).hexdigest()
            shard = Shard(f"{number:03d}-{digest}", len(part), int(tokens[part].sum()))
            with pq.ParquetWriter(texts_file(out, shard.name), _TEXTS, compression="zstd") as writer:
                rows = np.sort(part)
                for batch, start in zip(batches, starts[:-1], strict=True):
                    chosen = rows[(rows >= start) & (rows < start + len(batch))] - start
                    writer.write_batch(batch.take(pa.array(chosen)))
            yield shard


def _words(keys: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return keys as numbers that are ordered as they are, big-endian uint64 `[n, 2]`."""
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype=">u8").reshape(-1, KEY_BYTES // 8)[chunk.offset :][: len(chunk)]
        for chunk in keys.chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty((0, KEY_BYTES // 8), dtype=">u8")


def _order(words: NDArray[np.uint64], tokens: NDArray[np.int64], cut: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the rows by tokens, then key, each key once; of equal ones, one that was cut."""
    order = np.lexsort((~cut, *words.T[::-1], tokens))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    rows: NDArray[np.int64] = order[first]
    return rows
