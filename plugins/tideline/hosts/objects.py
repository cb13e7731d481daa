"""The object store: content under its hash, and refs that are written conditionally. The only importer of obstore."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import obstore
from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError
from obstore.store import ObjectStore, from_url

from embeddings.settings import Settings

PATIENCE = timedelta(minutes=3)
"""A store that is away for less is waited for."""
CHUNK = 8 << 20


class ConflictError(RuntimeError):
    """Another worker has written the ref since it was read: what was made of the older one must be made again."""


class Ref(NamedTuple):
    """A ref as it was read."""

    values: dict[str, Any]
    etag: str


class Found(NamedTuple):
    """An object of a listing."""

    name: str
    size: int
    modified: datetime
    etag: str


class Objects:
    """Objects below one prefix of a bucket. Credentials and region come from the usual `AWS_*` variables."""

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        self._store: ObjectStore = from_url(
            url,
            config={"endpoint": endpoint} if endpoint else {},
            # The first request after an outage should not be minutes away.
            retry_config={
                "max_retries": 1000,
                "retry_timeout": PATIENCE,
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=3),
                    "base": 2,
                },
            },
            client_options={
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(minutes=10),
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
            },
        )

    def read_ref(self, name: str) -> Ref | None:
        """Return a ref; None where there is none."""
        try:
            found = obstore.get(self._store, _ref(name))
        except FileNotFoundError:
            return None
        return Ref(json.loads(bytes(found.bytes())), str(found.meta["e_tag"]))

    def write_ref(self, name: str, values: dict[str, Any], before: Ref | None) -> None:
        """Write a ref in place of the one that was read before; None: there must be none.

        Raises
        ------
        ConflictError
            If it is not the one that was read any more.
        """
        mode: Any = {"e_tag": before.etag} if before else "create"
        try:
            self._put_once(_ref(name), _json(values), mode)
        except (AlreadyExistsError, PreconditionError):
            # A write that was repeated because its answer got lost meets itself.
            there = self.read_ref(name)
            if there is None or there.values != values:
                raise ConflictError(f"another worker has written {name} meanwhile") from None

    def _put_once(self, key: str, content: bytes, mode: Any) -> None:
        """Write conditionally, again where the connection broke: the library does not repeat such a write by itself."""
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                obstore.put(self._store, key, content, mode=mode)
                return
            except GenericError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def set_ref(self, name: str, values: dict[str, Any]) -> None:
        """Write a ref that only its own run writes; of two attempts at a time, the last one holds."""
        obstore.put(self._store, _ref(name), _json(values))

    def list_refs(self, prefix: str) -> list[Found]:
        """Return the refs below a prefix, in the order of their names."""
        start = len("refs/")
        return [
            found._replace(name=found.name[start:].removesuffix(".json"))
            for found in self.list_all(f"refs/{prefix}".rstrip("/"))
        ]

    def list_all(self, prefix: str) -> list[Found]:
        """Return the objects below a prefix, in the order of their names."""
        found = [
            Found(str(meta["path"]), int(meta["size"]), meta["last_modified"], str(meta["e_tag"]))
            for block in obstore.list(self._store, prefix)
            for meta in block
        ]
        return sorted(found)

    def delete_refs(self, names: Iterable[str]) -> None:
        """Delete refs; those that are gone do not matter."""
        self.delete(_ref(name) for name in names)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone do not matter."""
        for key in keys:  # not many at a time: who may write below a prefix may not delete from the bucket as a whole
            obstore.delete(self._store, key)

    def age(self, key: str) -> float | None:
        """Return the seconds since an object was written; None where there is none."""
        try:
            written = obstore.head(self._store, key)["last_modified"]
        except FileNotFoundError:
            return None
        return (datetime.now(UTC) - written).total_seconds()

    def put_file(self, key: str, file: Path) -> None:
        """Upload a file, in parts where it is large."""
        obstore.put(self._store, key, file)

    def get_file(self, key: str, write: Callable[[bytes], object]) -> None:
        """Pass the content of an object on, block by block. Raises `FileNotFoundError` if it is gone."""
        for block in obstore.get(self._store, key).stream(min_chunk_size=CHUNK):
            write(bytes(block))


def open_objects(settings: Settings) -> Objects:
    """Return the objects of this source; two sources never meet."""
    assert settings.store is not None
    return _open(f"{settings.store}/{settings.source}", settings.store_endpoint)


@cache
def _open(url: str, endpoint: str | None) -> Objects:
    return Objects(url, endpoint)


def _ref(name: str) -> str:
    return f"refs/{name}.json"


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True).encode()
