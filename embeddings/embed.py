"""The texts of one run become vectors: two files for the run, through the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.ledger import STATS, Stats, embed_texts
from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.texts import event_text, is_cut, item_text
from embeddings.vector_files import ROW_GROUP, to_column, vector_schema, writing

log = logging.getLogger(__name__)

TEXTS_A_BLOCK = 100_000
"""Texts handled at a time: about 0.5 GB at 384 dimensions, whatever the size of the run."""


def embed_run(items: Path, event_texts: Path, out: Path, settings: Settings) -> dict[str, int | float | str]:
    """Write `item_vectors.parquet` and `event_vectors.parquet` below `out`: rows with text only, in their order.

    Parameters
    ----------
    items
        Parquet with `item_id`, `title`, `category`, `description`.
    event_texts
        Parquet with `event_id`, `event_text`. Ordered by user it makes window vectors cheap in memory.
    out
        Folder, made if missing.

    Returns
    -------
    dict
        `model`, `items`, `item_vectors`, `events`, `event_vectors`, and the sums over both of what the ledger reports
        (see `ledger.embed_texts`); a text that occurs in two blocks counts in each.
    """
    item_counts = _write_vectors(
        settings, items, "item_id", ["title", "category", "description"], item_text, out / "item_vectors.parquet"
    )
    event_counts = _write_vectors(
        settings, event_texts, "event_id", ["event_text"], event_text, out / "event_vectors.parquet"
    )
    sums = {name: item_counts[name] + event_counts[name] for name in item_counts}
    return {
        "model": describe_model(settings).model_id,
        "items": item_counts["asked"],
        "item_vectors": item_counts["asked"] - item_counts["empty"],
        "events": event_counts["asked"],
        "event_vectors": event_counts["asked"] - event_counts["empty"],
        **{name: round(value, 3) for name, value in sums.items()},
    }


def _write_vectors(
    settings: Settings, source: Path, id_column: str, columns: list[str], text: Callable[..., str], file: Path
) -> Stats:
    model = describe_model(settings)
    schema = vector_schema(id_column, model.dimension, model.model_id, model_column=id_column == "item_id")
    total: Stats = dict.fromkeys(STATS, 0)
    with writing(file, schema) as writer, pq.ParquetFile(source) as rows:
        for batch in rows.iter_batches(TEXTS_A_BLOCK, columns=[id_column, *columns]):
            values = list(zip(*(batch[column].to_pylist() for column in columns), strict=True))
            cut = [is_cut(*row) for row in values]
            vectors, has_vector, stats = embed_texts(settings, [text(*row) for row in values], cut=cut)
            total = {name: total[name] + stats[name] for name in STATS}
            arrays = [batch[id_column].filter(pa.array(has_vector)).cast(pa.string()), to_column(vectors[has_vector])]
            if "model" in schema.names:
                arrays.append(pa.repeat(pa.scalar(model.model_id), len(arrays[0])))
            writer.write_table(pa.table(arrays, schema=schema), row_group_size=ROW_GROUP)
            log.info("%s: %d of %d rows, %s", file.stem, total["asked"], rows.metadata.num_rows, stats)
    return total
