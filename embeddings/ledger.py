"""The ledger: each text is embedded once in its life. It knows texts by a keyed hash and stores none.

A key is a hash of (model, prompt, normalised text), keyed with a secret, so that nobody who reads the files can test
whether a text is in them. Vectors stay when a later stage or gate fails, and a first filling that was interrupted goes
on where it stopped: every chunk is one commit.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embeddings import store
from embeddings.batching import Encoded
from embeddings.encoder import load_encoder
from embeddings.model import Model, describe_model
from embeddings.settings import Settings
from embeddings.texts import is_cut, normalise

CHUNK = 4096
"""Texts a commit: what a kill can cost, about a minute of work on two cores."""

Stats = dict[str, int | float]
STATS = ("asked", "empty", "unique", "known", "embedded", "tokens", "truncated", "seconds")


def embed_texts(
    settings: Settings, texts: Sequence[str | None], prompt: str = "", cut: Sequence[bool] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Stats]:
    """Return the vectors of texts: those the ledger has from there, the rest embedded once and appended.

    Several processes may do this at once. If two append the same text, the first commit is the text's vector for ever;
    the vectors returned are read back from the ledger, so this call and every later one agree to the bit.

    Parameters
    ----------
    texts
        Normalised here. Null and texts without content get no vector.
    prompt
        Put before each text; part of the key.
    cut
        Which texts were cut before they came here; those that are cut here count without being named.

    Returns
    -------
    vectors : float32, `[n, d]`
        Unit vectors; zero rows where there is none.
    has_vector : bool, `[n]`
    stats : dict
        `asked`, `empty`, `unique` (different texts with content), `known` (of these, already there), `embedded`, and of
        those embedded: `tokens`, `truncated` (longer than the model reads, or cut to `texts.LONGEST`); `seconds`.
    """
    started = time.perf_counter()
    model = describe_model(settings)
    clean = [normalise(text) for text in texts]
    unique = sorted({text for text in clean if text})
    were_cut = {
        text
        for text, raw, before in zip(clean, texts, cut or [False] * len(texts), strict=True)
        if before or is_cut(raw)
    }
    secret = ledger_secret(settings)
    keys = [text_key(secret, model.model_id, prompt, text) for text in unique]
    known, found = store.find_text_vectors(settings, model, keys)
    missing = np.flatnonzero(~known)
    tokens = truncated = 0
    if len(missing):
        missing_keys = [keys[row] for row in missing]
        missing_texts = [unique[row] for row in missing]
        tokens, truncated = _embed(settings, model, missing_keys, missing_texts, prompt, were_cut)
        written, found[missing] = store.find_text_vectors(settings, model, missing_keys)
        if not written.all():
            raise RuntimeError(f"{np.count_nonzero(~written)} vectors are not in the ledger after they were appended")
    has_vector = np.fromiter(map(bool, clean), dtype=bool, count=len(clean))
    row_of = {text: row for row, text in enumerate(unique)}
    vectors = np.zeros((len(clean), model.dimension), dtype=np.float32)
    vectors[has_vector] = found[[row_of[text] for text in clean if text]]
    stats: Stats = {
        "asked": len(clean),
        "empty": int(len(clean) - has_vector.sum()),
        "unique": len(unique),
        "known": int(known.sum()),
        "embedded": len(missing),
        "tokens": tokens,
        "truncated": truncated,
        "seconds": round(time.perf_counter() - started, 3),
    }
    return vectors, has_vector, stats


def text_key(secret: bytes, model_id: str, prompt: str, text: str) -> bytes:
    """Return the key of a normalised text: a keyed BLAKE2b hash, `store.KEY_BYTES` long."""
    digest = blake2b(key=secret, digest_size=store.KEY_BYTES)
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
    file = settings.root / "ledger.key"
    if not file.exists():
        _make_key(file)
    return blake2b(file.read_bytes()).digest()


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


def _embed(
    settings: Settings, model: Model, keys: list[bytes], texts: list[str], prompt: str, cut: set[str]
) -> tuple[int, int]:
    tokens = truncated = 0
    chunk: list[Encoded] = []
    for batch in load_encoder(settings).batches(texts, prompt, cut):
        chunk.append(batch)
        tokens += batch.tokens
        truncated += batch.truncated
        if sum(len(part.rows) for part in chunk) >= CHUNK:
            _append(settings, model, keys, chunk)
            chunk = []
    if chunk:
        _append(settings, model, keys, chunk)
    return tokens, truncated


def _append(settings: Settings, model: Model, keys: list[bytes], chunk: list[Encoded]) -> None:
    rows = np.concatenate([part.rows for part in chunk])
    store.append_text_vectors(
        settings, model, [keys[row] for row in rows], np.concatenate([part.vectors for part in chunk])
    )
