"""Shards: done by any worker, once, and as a whole; a run that was killed goes on, and nobody embeds twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from embeddings import shard as worker
from embeddings import store
from embeddings.batching import Encoded
from embeddings.collect import collect_vectors
from embeddings.embed import embed_run
from embeddings.encoder import load_encoder
from embeddings.model import describe_model
from embeddings.plan import plan_texts
from embeddings.settings import Settings, load_settings
from embeddings.shard import encode_shard
from embeddings.shard_files import PlanError, finished_folder, read_plan, record_file, texts_file, vectors_file

WriteRun = Callable[..., tuple[Path, Path]]
TEXTS = [f"film number {n} about {'night ' * (n % 7)}" for n in range(24)]


@pytest.fixture
def small(tmp_path: Path) -> Settings:
    """Settings of several shards for `TEXTS`."""
    return load_settings(home=tmp_path / "home", shard_tokens=60)


def test_a_shard_is_done_once_by_its_name_or_its_number(write_run: WriteRun, tmp_path: Path, small: Settings) -> None:
    out = tmp_path / "vectors"
    plan = plan_texts(*write_run(events=TEXTS), out, small)
    assert len(plan.shards) > 3
    record = encode_shard(out, plan.shards[1].name, small)
    file = vectors_file(small, plan.model, plan.shards[1].name)
    assert (record["texts"], record["embedded"], record["failed"]) == (plan.shards[1].texts, plan.shards[1].texts, [])
    assert record["tokens"] == plan.shards[1].tokens and record["seconds"] > 0 and record["backend"]
    written = file.stat()
    assert encode_shard(out, "1", small) == record
    assert file.stat() == written
    # A worker that was killed between its two files: the vectors count.
    record_file(out, plan.shards[1].name).unlink()
    assert encode_shard(out, "1", small) == record
    assert file.stat() == written
    vectors = pq.read_table(file)["vector"].combine_chunks().flatten().to_numpy().reshape(-1, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    with pytest.raises(PlanError, match=r"shard 000-\w+ .* was not embedded"):
        collect_vectors(out, small)


def test_workers_that_do_the_same_shard_agree(write_run: WriteRun, tmp_path: Path, small: Settings) -> None:
    out = tmp_path / "vectors"
    plan = plan_texts(*write_run(events=TEXTS[:12]), out, small)
    with ThreadPoolExecutor(2) as pool:
        records = list(pool.map(lambda _: encode_shard(out, "0", small), range(2)))
    assert {record["embedded"] for record in records} == {records[0]["texts"]}
    for shard in plan.shards[1:]:
        encode_shard(out, shard.name, small)
    assert collect_vectors(out, small)["event_vectors"] == 12


def test_a_worker_with_another_model_refuses(write_run: WriteRun, tmp_path: Path, small: Settings) -> None:
    plan_texts(*write_run(events=TEXTS), tmp_path / "vectors", small)
    with pytest.raises(PlanError, match="give this worker the settings and the model files"):
        encode_shard(tmp_path / "vectors", "0", load_settings(home=small.root, user_prompt="query: "))


class Breaking:
    """The real encoder, but one of the texts breaks it."""

    def __init__(self, settings: Settings, sample: list[str]) -> None:
        self.encoder = load_encoder(settings, sample)
        self.backend = "breaking"

    def batches(self, texts: list[str], prompt: str, cut: set[str]) -> Iterator[Encoded]:
        good = [row for row, text in enumerate(texts) if "Zebra" not in text]
        for batch in self.encoder.batches([texts[row] for row in good], prompt, cut):
            yield batch._replace(rows=np.array(good)[batch.rows])
        if len(good) < len(texts):
            [broken] = set(range(len(texts))) - set(good)
            yield Encoded(np.empty(0, np.int64), np.empty((0, 384), np.float32), 0, 0, {broken: "OverflowError"})


def test_a_text_that_breaks_the_encoder_is_recorded_skipped_and_tried_again(
    write_run: WriteRun,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run, out = write_run(["Heat.", "Zebra."], ["Heat.", "Alien"]), tmp_path / "vectors"
    with monkeypatch.context() as patched:
        patched.setattr(worker, "load_encoder", Breaking)
        counts = embed_run(*run, out, settings)
    assert (counts["embedded"], counts["failed"], counts["unique"]) == (2, 1, 3)
    assert (counts["item_vectors"], counts["event_vectors"]) == (1, 2)
    [shard] = read_plan(out, describe_model(settings)).shards
    text = record_file(out, shard.name).read_text()
    [failed] = json.loads(text)["failed"]
    assert (failed["kind"], failed["characters"], failed["error"]) == ("item", len("Zebra."), "OverflowError")
    keys = {row["item_id"]: row["key"].hex() for row in pq.read_table(out / "shards" / "item_keys.parquet").to_pylist()}
    assert keys["i1"] == failed["key"]  # from a record to the row that has the text
    assert "ebra" not in text and "ebra" not in caplog.text
    again = embed_run(*run, out, settings)
    assert (again["known"], again["embedded"], again["failed"], again["item_vectors"]) == (2, 1, 0, 2)


def test_a_vector_that_was_lost_is_named_and_planning_again_mends_it(
    write_run: WriteRun, tmp_path: Path, settings: Settings
) -> None:
    run, out = write_run(events=TEXTS[:3]), tmp_path / "vectors"
    plan = plan_texts(*run, out, settings)
    encode_shard(out, "0", settings)
    vectors_file(settings, plan.model, plan.shards[0].name).write_bytes(b"PAR1 and no end")
    with pytest.raises(PlanError, match=r"lacks 3 vectors of the plan .* plan again"):
        collect_vectors(out, settings)
    assert embed_run(*run, out, settings)["event_vectors"] == 3


def test_collecting_twice_gives_the_same_files(write_run: WriteRun, tmp_path: Path, small: Settings) -> None:
    out = tmp_path / "vectors"
    first = embed_run(*write_run(TEXTS[:4], TEXTS[2:]), out, small)
    files = [out / "item_vectors.parquet", out / "event_vectors.parquet"]
    before = [file.read_bytes() for file in files]
    assert collect_vectors(out, small) == first
    assert [file.read_bytes() for file in files] == before
    model = describe_model(small)
    assert not any(texts_file(out, shard.name).exists() for shard in read_plan(out, model).shards)
    assert list(finished_folder(small, model.model_id).iterdir()) == []


def start_embedding(home: Path, run: tuple[Path, Path], out: Path, **more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "embeddings", "embed", "--items", run[0], "--events", run[1], "--out", out]
    environment = {**os.environ, "TIDELINE_HOME": str(home), "TIDELINE_SHARD_TOKENS": "300", **more}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def kill_after_shards(process: subprocess.Popen[bytes], folder: Path, count: int) -> int:
    """Kill a process as soon as so many shards are finished; return the texts in those that are."""
    deadline = time.monotonic() + 300  # the first time on a machine, its backends are measured before
    while len(list(folder.glob("*.parquet"))) < count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))


@pytest.mark.parametrize("opened_again", [False, True])
def test_a_killed_run_costs_no_more_than_the_shard_it_was_in(
    write_run: WriteRun, tmp_path: Path, settings: Settings, opened_again: bool
) -> None:
    texts = [f"film number {number} about {'night ' * 50}" for number in range(80)]
    run, out = write_run(events=texts), tmp_path / "vectors"
    folder = finished_folder(settings, describe_model(settings).model_id)
    done = kill_after_shards(start_embedding(settings.root, run, out), folder, 4)
    assert 0 < done < len(texts)
    # The DAG run goes on in its folder; or it is opened again, or given up, and another folder gets the same texts.
    counts = embed_run(*run, tmp_path / "other" if opened_again else out, settings)
    assert (counts["known"], counts["embedded"]) == (done, len(texts) - done)
    assert counts["event_vectors"] == len(texts)
    rows = store.read_table(settings, str(counts["model"]), store.TEXT_VECTORS)
    assert len(rows) == len(rows["key"].unique()) == len(texts)


def test_a_killed_worker_costs_its_own_shard_only(write_run: WriteRun, tmp_path: Path) -> None:
    home = tmp_path / "home"
    many = load_settings(home=home, shard_tokens=3_000)
    run, out = write_run(events=[f"film number {n} about {'night ' * 50}" for n in range(150)]), tmp_path / "vectors"
    plan = plan_texts(*run, out, many)
    assert len(plan.shards) >= 3
    encode_shard(out, "0", many)
    finished = {file.name: file.stat().st_mtime_ns for file in finished_folder(many, plan.model).iterdir()}
    command = [sys.executable, "-m", "embeddings", "shard", "--out", out, "--shard", "1"]
    environment = {**os.environ, "TIDELINE_HOME": str(home)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(3)  # wherever it is now: loading, encoding or writing
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    left = {file.name: file.stat().st_mtime_ns for file in finished_folder(many, plan.model).glob("*.parquet")}
    assert {name: left[name] for name in finished} == finished
    for shard in plan.shards:
        encode_shard(out, shard.name, many)
    counts = collect_vectors(out, many)
    assert (counts["embedded"], counts["event_vectors"]) == (150, 150)


def test_a_new_model_is_built_beside_the_old_one_and_resumes_while_the_old_serves(
    write_run: WriteRun, tmp_path: Path, settings: Settings
) -> None:
    texts = [f"film number {number} about {'night ' * 50}" for number in range(80)]
    run, out = write_run(events=texts), tmp_path / "vectors"
    old = embed_run(*run, out, settings)
    serving = store.read_table(settings, str(old["model"]), store.TEXT_VECTORS)
    # Named, so that nobody measures the backends of the new model on the way.
    other = load_settings(home=settings.root, user_prompt="query: ", backend="torch-cpu-fp32")
    new_model = describe_model(other).model_id
    process = start_embedding(
        settings.root, run, tmp_path / "next", TIDELINE_USER_PROMPT="query: ", TIDELINE_BACKEND="torch-cpu-fp32"
    )
    done = kill_after_shards(process, finished_folder(other, new_model), 3)
    assert store.open_table(other, new_model, store.TEXT_VECTORS) is None  # nothing of a half-built space is visible
    assert store.read_table(settings, str(old["model"]), store.TEXT_VECTORS).equals(serving)
    assert embed_run(*run, tmp_path / "hour", settings)["known"] == len(texts)  # an hour of the old model meanwhile
    new = embed_run(*run, tmp_path / "next", other)
    assert (new["known"], new["embedded"]) == (done, len(texts) - done)
    assert new["model"] == new_model != old["model"]
    keys = [
        set(store.read_table(settings, str(m), store.TEXT_VECTORS)["key"].to_pylist())
        for m in (old["model"], new_model)
    ]
    assert len(keys[0]) == len(keys[1]) == len(texts) and not keys[0] & keys[1]
    for folder, model in ((out, old["model"]), (tmp_path / "next", new_model)):
        assert pq.read_schema(folder / "event_vectors.parquet").metadata[b"model"].decode() == model
