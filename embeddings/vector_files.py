"""Parquet files of vectors: an id column and a fixed-size float32 list `vector`; the model stands in the metadata."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.failpoints import failpoint
from embeddings.table_files import link_file

# A few rows of a large file are read by row group: small groups, about 12 MB at 384 dimensions.
ROW_GROUP = 8192
KEY_BYTES = 16
"""Bytes of a text's key."""
PART = ".part"
"""Ending of a file that is being written."""
ITEMS_FILE, EVENTS_FILE = "item_vectors.parquet", "event_vectors.parquet"
TEXT = "text"
"""Folder beside joined vector files: the vectors of text alone that they were made of."""


def text_file(vectors: Path, name: str) -> Path:
    """Return a run's file of vectors of text alone: in `text/`, or beside it in a run that joins nothing."""
    kept = vectors / TEXT / name
    return kept if kept.exists() else vectors / name


def vector_schema(id_column: str, dimension: int, model_id: str, *, model_column: bool = False) -> pa.Schema:
    """Return the schema of a vector file; `model_column` adds the identity as a column for readers of SQL."""
    fields = [pa.field(id_column, pa.string()), pa.field("vector", pa.list_(pa.float32(), dimension))]
    if model_column:
        fields.append(pa.field("model", pa.string()))
    return pa.schema(fields, metadata={"model": model_id})


def text_vector_schema(dimension: int) -> pa.Schema:
    """Return the schema of the ledger and of a finished shard: the key of a text and its unit vector."""
    return pa.schema(
        [
            pa.field("key", pa.binary(KEY_BYTES), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
        ]
    )


def to_column(vectors: NDArray[np.floating], present: NDArray[np.bool_] | None = None) -> pa.FixedSizeListArray:
    """Return `[n, d]` as a fixed-size float32 list column, null where not `present`."""
    values = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    mask = None if present is None else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(values, vectors.shape[1], mask=mask)


def to_matrix(column: pa.Array | pa.ChunkedArray, dimension: int) -> NDArray[np.float32]:
    """Return a fixed-size list column without nulls as float32 `[n, dimension]`."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), dimension) for chunk in chunks]
    return np.concatenate(parts) if parts else np.empty((0, dimension), dtype=np.float32)


@contextmanager
def writing(file: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Open a Parquet writer whose file gets its name only when it is complete; two processes may write the same one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}{PART}")
    scalar = [field.name for field in schema if not pa.types.is_nested(field.type)]
    try:
        # Vectors do not compress, and nobody looks for the least of their values: trying costs more than it saves.
        with pq.ParquetWriter(
            part, schema, compression="none", use_dictionary=False, write_statistics=scalar, write_batch_size=1 << 16
        ) as writer:
            yield writer
        failpoint("vectors.write.before")
        part.replace(file)
        failpoint("vectors.write.after")
    finally:
        part.unlink(missing_ok=True)


def carry(origin: Path, file: Path) -> None:
    """Put a link to another run's file of vectors in the place of `file`, at once."""
    part = file.with_name(f".{file.name}{PART}")
    part.unlink(missing_ok=True)
    link_file(origin, part)
    failpoint("vectors.carry.before")
    part.replace(file)
    failpoint("vectors.carry.after")
    part.unlink(missing_ok=True)  # renaming one link over another of the same file does nothing


def check_vectors(rows: pq.ParquetFile, name: str) -> None:
    """Refuse what a store would take without a word: a null id, an id twice, a value that is not finite.

    The first column is the id. Raises `ValueError`, which names the file.
    """
    id_column = rows.schema_arrow.names[0]
    ids = rows.read(columns=[id_column])[id_column]
    if ids.null_count or pc.count_distinct(ids).as_py() != len(ids):
        raise ValueError(f"{name} has an id twice or a null id: write one row for each")
    for batch in rows.iter_batches(ROW_GROUP):
        for column in filter(lambda column: pa.types.is_fixed_size_list(column.type), batch.columns):
            if not pc.all(pc.is_finite(column.flatten()), min_count=0).as_py():
                raise ValueError(f"{name} has a vector with a value that is not finite: embed the run again")


class VectorFile:
    """A vector file, opened: its ids in memory, its vectors read when asked for.

    Parameters
    ----------
    file
        Written with `vector_schema`.
    id_column
        Name of the id column.

    Attributes
    ----------
    ids : pyarrow.ChunkedArray
        Ids in file order, `[n]`.
    dimension : int
    model : str
        Identity of the encoder that made the vectors.
    """

    def __init__(self, file: Path, id_column: str) -> None:
        self._parquet = pq.ParquetFile(file)
        schema = self._parquet.schema_arrow
        self.ids: pa.ChunkedArray = self._parquet.read(columns=[id_column])[id_column]
        self.dimension: int = schema.field("vector").type.list_size
        self.model: str = (schema.metadata or {}).get(b"model", b"").decode()
        groups = (self._parquet.metadata.row_group(group).num_rows for group in range(self._parquet.num_row_groups))
        self._ends = np.cumsum(np.fromiter(groups, dtype=np.int64, count=self._parquet.num_row_groups))

    def rows_of(self, ids: pa.Array | pa.ChunkedArray) -> NDArray[np.int32]:
        """Return the row of each id, int32 `[len(ids)]`; -1 for null and for ids without a vector."""
        rows = pc.index_in(ids, value_set=self.ids, skip_nulls=True)
        return np.asarray(pc.fill_null(rows, -1), dtype=np.int32)

    @cached_property
    def row_at(self) -> NDArray[np.int32]:
        """The row at each place in the order of ids, int32 `[n]`: places do not depend on the order of the file."""
        return np.asarray(pc.sort_indices(self.ids), dtype=np.int32)

    @cached_property
    def _place_of(self) -> NDArray[np.int32]:
        places = np.full(len(self.ids) + 1, -1, dtype=np.int32)  # the last one is that of row -1
        places[self.row_at] = np.arange(len(self.ids), dtype=np.int32)
        return places

    def places_of(self, ids: pa.Array | pa.ChunkedArray) -> NDArray[np.int32]:
        """Return the place of each id in the order of ids, int32 `[len(ids)]`; -1 where `rows_of` gives -1."""
        return self._place_of[self.rows_of(ids)]

    def take(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the vectors of ascending rows, float32 `[len(rows), d]`; only row groups that hold one are read."""
        vectors = np.empty((len(rows), self.dimension), dtype=np.float32)
        cuts = np.searchsorted(rows, np.concatenate([[0], self._ends]))
        for group in np.flatnonzero(np.diff(cuts)):
            first = self._ends[group - 1] if group else 0
            chosen = slice(cuts[group], cuts[group + 1])
            whole = to_matrix(self._parquet.read_row_group(group, columns=["vector"])["vector"], self.dimension)
            vectors[chosen] = whole[rows[chosen] - first]
        return vectors
