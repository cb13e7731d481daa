"""The ledger with real LanceDB: keys, the secret, and commits of finished shards by one process and by several."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings import store
from embeddings.ledger import adopt_shards, commit_shards, find_text_vectors, ledger_secret, text_key
from embeddings.model import Model, describe_model
from embeddings.settings import Settings, load_settings
from embeddings.shard_files import finished_folder
from embeddings.vector_files import KEY_BYTES, text_vector_schema, to_column


def key(number: int) -> bytes:
    return bytes([number] * KEY_BYTES)


def write_shard(file: Path, model: Model, keys: list[bytes], value: float) -> Path:
    """A finished shard whose vectors all hold one value."""
    file.parent.mkdir(parents=True, exist_ok=True)
    vectors = to_column(np.full((len(keys), model.dimension), value))
    schema = text_vector_schema(model.dimension)
    pq.write_table(pa.table([pa.array(keys, pa.binary(KEY_BYTES)), vectors], schema=schema), file)
    return file


def test_the_secret_of_the_settings_wins_and_decides_the_keys(tmp_path: Path, settings: Settings) -> None:
    secret = load_settings(home=tmp_path, ledger_secret="correct horse")
    keys = {text_key(ledger_secret(each), "model", "", "heat") for each in (secret, settings)}
    assert len(keys) == 2
    assert not (tmp_path / "ledger.key").exists()
    assert ledger_secret(settings) == ledger_secret(load_settings(home=settings.root))


def test_model_prompt_and_text_all_count_in_the_key() -> None:
    parts = [("m", "", "text"), ("m2", "", "text"), ("m", "te", "xt"), ("m", "text", ""), ("mt", "", "ext")]
    assert len({text_key(b"secret", *each) for each in parts}) == len(parts)


def test_a_home_that_others_may_read_keeps_the_key_private(settings: Settings) -> None:
    mask = os.umask(0)
    try:
        ledger_secret(settings)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((settings.root / "ledger.key").stat().st_mode) == 0o600


def test_processes_that_meet_make_one_key(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda _: ledger_secret(settings), range(8)))
    assert len(set(secrets)) == 1
    assert [file.name for file in settings.root.iterdir()] == ["ledger.key"]


def test_shards_are_one_commit_and_the_first_writer_of_a_key_wins(settings: Settings, tmp_path: Path) -> None:
    model = describe_model(settings)
    first = [write_shard(tmp_path / f"{n}.parquet", model, [key(n), key(n + 10)], n) for n in (1, 2)]
    assert commit_shards(settings, model, first) == 4
    table = store.open_table(settings, model.model_id, store.TEXT_VECTORS)
    assert table.version == 2  # made, then one commit for both
    assert not any(file.exists() for file in first)
    second = [write_shard(tmp_path / f"{n}.parquet", model, [key(2), key(n)], 9) for n in (5, 6)]
    assert commit_shards(settings, model, second) == 2
    rows = store.read_table(settings, model.model_id, store.TEXT_VECTORS)
    assert len(rows) == 6 and len(rows["key"].unique()) == 6
    known, vectors = find_text_vectors(settings, model, pa.array([key(n) for n in (6, 2, 99, 1)], pa.binary(KEY_BYTES)))
    assert known.tolist() == [True, True, False, True]
    assert vectors[:, 0].tolist() == [9, 2, 0, 1]


def test_a_shard_with_a_vector_that_is_not_finite_is_left_out(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = describe_model(settings)
    good = write_shard(tmp_path / "a.parquet", model, [key(1)], 1)
    bad = write_shard(tmp_path / "b.parquet", model, [key(2)], np.inf)
    assert commit_shards(settings, model, [good, bad]) == 1
    assert "b.parquet is damaged" in caplog.text and not bad.exists()


def test_what_others_finished_is_adopted_and_what_is_damaged_is_not(settings: Settings) -> None:
    model = describe_model(settings)
    folder = finished_folder(settings, model.model_id)
    write_shard(folder / "000-a.parquet", model, [key(1), key(2)], 1)
    write_shard(folder / "001-b.parquet", model, [key(3)], 2)
    damaged = write_shard(folder / "002-c.parquet", model, [key(4)], 3)
    damaged.write_bytes(damaged.read_bytes()[:-5])
    fresh, stale = folder / ".003-d.parquet.1.part", folder / ".004-e.parquet.2.part"
    fresh.touch()
    stale.touch()
    os.utime(stale, (0, 0))
    assert adopt_shards(settings, model) == 3
    assert list(folder.iterdir()) == [fresh]
    assert adopt_shards(settings, model) == 0


def test_processes_that_commit_the_same_keys_agree(settings: Settings) -> None:
    # Each process commits the same 20 keys five times, its number (or a later round's) as the vector.
    code = (
        "import sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq; from pathlib import Path\n"
        "from embeddings.ledger import commit_shards; from embeddings.model import describe_model\n"
        "from embeddings.settings import load_settings; from embeddings.vector_files import *\n"
        "s = load_settings(home=sys.argv[1]); m = describe_model(s)\n"
        "keys = pa.array([bytes([n] * 16) for n in range(20)], pa.binary(16))\n"
        "for round in range(5):\n"
        "    value = int(sys.argv[2]) + 10 * round; file = Path(sys.argv[1]) / f'{value}.parquet'\n"
        "    vectors = to_column(np.full((20, m.dimension), value, np.float32))\n"
        "    pq.write_table(pa.table([keys, vectors], schema=text_vector_schema(m.dimension)), file)\n"
        "    commit_shards(s, m, [file])\n"
    )
    settings.root.mkdir()
    commands = [[sys.executable, "-c", code, str(settings.root), str(number)] for number in (1, 2)]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(120) for process in processes] == [0, 0]
    model, keys = describe_model(settings), pa.array([key(number) for number in range(20)], pa.binary(KEY_BYTES))
    assert len(store.read_table(settings, model.model_id, store.TEXT_VECTORS)) == 20
    known, vectors = find_text_vectors(settings, model, keys)
    assert known.all() and len(np.unique(vectors)) == 1
    assert vectors[0, 0] in (1, 2)  # of the first round


def test_writers_that_meet_at_a_ledger_not_yet_made_lose_nothing(tmp_path: Path) -> None:
    for attempt in range(12):
        settings = load_settings(home=tmp_path / str(attempt))
        model, start = describe_model(settings), Barrier(3)
        files = [write_shard(tmp_path / f"{attempt}-{n}.parquet", model, [key(n)], n) for n in range(3)]

        def commit(file: Path, settings: Settings = settings, model: Model = model, start: Barrier = start) -> None:
            start.wait()
            commit_shards(settings, model, [file])

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(commit, files))
        assert len(store.read_table(settings, model.model_id, store.TEXT_VECTORS)) == 3
