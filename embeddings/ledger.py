"""The ledger: each text is embedded once in its life. It knows texts by a keyed hash and stores none.

A key is a hash of (model, prompt, normalised text), keyed with a secret, so that nobody who reads the files can test
whether a text is in them. The table `text_vectors` (key, vector) is append-only and keeps its rows when a later stage
or gate fails. Readers take the first row of a key: scans follow the order of commits, which compaction keeps.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import dataset

from embeddings.failpoints import failpoint
from embeddings.model import Model
from embeddings.settings import Settings
from embeddings.shard_files import finished_folder
from embeddings.store import TEXT_VECTORS, open_or_create, open_table
from embeddings.table_files import model_folder, record_table
from embeddings.vector_files import KEY_BYTES, PART, check_vectors, text_vector_schema, to_matrix

log = logging.getLogger(__name__)

_KEYS_A_BATCH = 1 << 18
_STALE_SECONDS = 86_400


class LedgerSecretError(RuntimeError):
    """There is no secret that all hosts share."""


def text_key(secret: bytes, model_id: str, prompt: str, text: str) -> bytes:
    """Return the key of a normalised text: a keyed BLAKE2b hash, `KEY_BYTES` long."""
    digest = blake2b(key=secret, digest_size=KEY_BYTES)
    for part in (model_id, prompt, text):
        encoded = part.encode()
        # Lengths first: no two triples may give the same bytes.
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.digest()


def ledger_secret(settings: Settings) -> bytes:
    """Return the secret of the hash: of `settings.ledger_secret`, else of `<root>/ledger.key`, made once, mode 0600.

    With another secret every text is new: keep the file with the vectors.
    """
    if settings.ledger_secret is not None:
        return blake2b(settings.ledger_secret.get_secret_value().encode()).digest()
    if settings.store is not None:
        # Each worker would make up its own, and every text would be embedded again by each.
        raise LedgerSecretError("several hosts need one TIDELINE_LEDGER_SECRET: set the same for all that plan texts")
    file = settings.root / "ledger.key"
    if not file.exists():
        _make_key(file)
    return blake2b(file.read_bytes()).digest()


def commit_shards(settings: Settings, model: Model, files: Sequence[Path]) -> int:
    """Append the vectors of finished shards in one commit, and remove their files; return the number appended.

    After a crash all of them are there, or none. The first writer of a key wins: keys that are there by now, from
    another run, are left out. Files that are gone were committed by another run; damaged ones (a key twice, a vector
    that is not finite) are removed. One commit at a time: a later one sees the keys of the earlier. Of a key in two of
    the files one row counts, the other lies idle. Memory holds the keys of all files and a few blocks of vectors.

    Parameters
    ----------
    files
        Parquet with `key` (`KEY_BYTES`) and `vector` (unit vectors), as `shard.encode_shard` writes them.
    """
    folder = model_folder(settings, model.model_id)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".commit.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = {file: found for file in files if (found := _keys_of(file)) is not None}
        distinct = pa.chunked_array(keys.values(), pa.binary(KEY_BYTES)).unique()
        known = distinct.filter(pa.array(known_texts(settings, model, distinct)))
        if len(known) < len(distinct):
            schema = text_vector_schema(model.dimension)
            # A dataset, not a reader: what Lance cannot read twice it keeps in memory.
            rows = dataset.dataset([str(file) for file in keys], schema=schema, format="parquet")
            if len(known):
                rows = rows.filter(~pc.field("key").isin(known))
            ledger = open_or_create(settings, model.model_id, TEXT_VECTORS, schema)
            failpoint("ledger.commit.before")
            ledger.add(rows)
            failpoint("ledger.commit.after")
            record_table(settings, model.model_id, TEXT_VECTORS)
        for file in files:
            failpoint("ledger.clear.before")
            file.unlink(missing_ok=True)
            failpoint("ledger.clear.after")
    return len(distinct) - len(known)


def adopt_shards(settings: Settings, model: Model) -> int:
    """Commit the finished shards that wait below the model's folder, whichever run made them.

    A run that was killed or opened again has left them; one that goes on finds their texts in the ledger. Returns the
    number of vectors appended.
    """
    folder = finished_folder(settings, model.model_id)
    for part in folder.glob(f".*{PART}"):
        # Of a worker that was killed while it wrote: writing takes less than a second.
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                part.unlink()
    files = sorted(folder.glob("*.parquet"))
    return commit_shards(settings, model, files) if files else 0


def known_texts(settings: Settings, model: Model, keys: pa.Array) -> NDArray[np.bool_]:
    """Say which of distinct keys the ledger has, bool `[len(keys)]`. Scans keys only, 24 bytes a row."""
    return _row_ids(settings, model, keys)[1] >= 0


def find_text_vectors(
    settings: Settings, model: Model, keys: pa.Array
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Look up distinct keys in the ledger; where writers met, the first row of a key counts.

    Scans the keys (24 bytes a row) and fetches only the vectors asked for.

    Returns
    -------
    known : bool, `[len(keys)]`
    vectors : float32, `[len(keys), d]`
        Zero rows where not known.
    """
    table, row_ids = _row_ids(settings, model, keys)
    vectors = np.zeros((len(keys), model.dimension), dtype=np.float32)
    known = row_ids >= 0
    if known.any():
        taken = table.take_row_ids(row_ids[known].tolist()).with_row_id().select(["vector"]).to_arrow()
        order = np.argsort(taken["_rowid"].to_numpy())
        place = order[np.searchsorted(taken["_rowid"].to_numpy(), row_ids[known].astype(np.uint64), sorter=order)]
        vectors[known] = to_matrix(taken["vector"], model.dimension)[place]
    return known, vectors


def _make_key(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".ledger.key.")  # mkstemp makes it 0600
    part = Path(name)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32))
            stream.flush()
            os.fsync(stream.fileno())
        # A link, unlike a rename, fails where another process was first: then its key holds.
        file.hardlink_to(part)
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _keys_of(file: Path) -> pa.Array | None:
    try:
        with pq.ParquetFile(file) as shard:
            check_vectors(shard, file.name)
            return shard.read(columns=["key"])["key"].combine_chunks()
    except FileNotFoundError:
        return None
    except ValueError as error:  # pyarrow's own errors about a file's content are of this kind, too
        log.warning("%s is damaged (%s): its texts are embedded again by the next plan", file, error)
        return None


def _row_ids(settings: Settings, model: Model, keys: pa.Array) -> tuple[Any, NDArray[np.int64]]:
    """Return the ledger, if there is one, and the row of each key in it; -1 where it has none."""
    row_ids = np.full(len(keys), -1, dtype=np.int64)
    table = open_table(settings, model.model_id, TEXT_VECTORS)
    if table is None or not len(keys):
        return table, row_ids
    for batch in table.search().select(["key"]).with_row_id(True).to_batches(_KEYS_A_BATCH):
        positions = pc.index_in(batch["key"], value_set=keys)
        hits = np.flatnonzero(positions.is_valid().to_numpy(zero_copy_only=False))
        found = positions.take(pa.array(hits)).to_numpy()
        new = row_ids[found] < 0
        # Written backwards, so that the first of a batch's equal keys is the one that stays.
        row_ids[found[new][::-1]] = batch["_rowid"].to_numpy()[hits[new]][::-1].astype(np.int64)
    return table, row_ids
