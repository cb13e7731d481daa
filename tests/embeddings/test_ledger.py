"""Each text once in its life: the ledger with the real model and real LanceDB."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from embeddings import ledger, store
from embeddings.ledger import embed_texts, ledger_secret, text_key
from embeddings.model import Model, describe_model
from embeddings.settings import Settings, load_settings

TEXTS = [
    "A quiet film about lighthouses",
    "Seven samurai defend a village",
    None,
    "  ",
    "a  QUIET remark",
    "a QUIET remark",
]


def test_a_text_is_embedded_once_and_empty_ones_never(settings: Settings) -> None:
    vectors, has_vector, stats = embed_texts(settings, TEXTS)
    assert has_vector.tolist() == [True, True, False, False, True, True]
    assert not vectors[~has_vector].any()
    assert np.array_equal(vectors[4], vectors[5])
    assert np.allclose(np.linalg.norm(vectors[has_vector], axis=1), 1, atol=1e-6)
    assert {name: stats[name] for name in ("asked", "empty", "unique", "known", "embedded", "truncated")} == {
        "asked": 6, "empty": 2, "unique": 3, "known": 0, "embedded": 3, "truncated": 0,
    }  # fmt: skip
    assert stats["tokens"] > 10 and set(stats) == set(ledger.STATS)
    again, _, stats = embed_texts(settings, [*TEXTS[::-1], "new words"])
    assert (stats["known"], stats["embedded"]) == (3, 1)
    assert np.array_equal(again[:-1], vectors[::-1])


def test_a_known_text_needs_no_model(settings: Settings) -> None:
    embed_texts(settings, TEXTS)
    code = (
        "import sys; from embeddings.ledger import embed_texts; from embeddings.settings import load_settings;"
        f"assert embed_texts(load_settings(home=sys.argv[1]), {TEXTS!r})[2]['embedded'] == 0;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(settings.root)], check=True)


def test_no_file_holds_a_text_and_the_key_is_private(settings: Settings) -> None:
    embed_texts(settings, TEXTS)
    files = [file for file in settings.root.rglob("*") if file.is_file()]
    assert any(".lance" in str(file) for file in files)
    for file in files:
        content = file.read_bytes().lower()
        assert not any(word in content for word in (b"lighthouse", b"samurai", b"quiet"))
    assert stat.S_IMODE((settings.root / "ledger.key").stat().st_mode) == 0o600


def test_the_secret_of_the_settings_wins_and_decides_the_keys(tmp_path: Path, settings: Settings) -> None:
    secret = load_settings(home=tmp_path, ledger_secret="correct horse")
    keys = {text_key(ledger_secret(each), "model", "", "heat") for each in (secret, settings)}
    assert len(keys) == 2
    assert not (tmp_path / "ledger.key").exists()
    assert ledger_secret(settings) == ledger_secret(load_settings(home=settings.root))


def test_model_prompt_and_text_all_count_in_the_key() -> None:
    parts = [("m", "", "text"), ("m2", "", "text"), ("m", "te", "xt"), ("m", "text", ""), ("mt", "", "ext")]
    assert len({text_key(b"secret", *each) for each in parts}) == len(parts)


def test_a_prompt_makes_another_vector(settings: Settings) -> None:
    plain, _, _ = embed_texts(settings, ["heat"])
    prompted, _, stats = embed_texts(settings, ["heat"], prompt="query: ")
    assert stats["embedded"] == 1
    assert not np.allclose(plain, prompted, atol=1e-3)


def test_threads_that_embed_the_same_texts_agree(settings: Settings) -> None:
    texts = [f"a text numbered {number}" for number in range(40)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: embed_texts(settings, texts), range(2)))
    later, _, stats = embed_texts(settings, texts)
    assert stats["embedded"] == 0
    for vectors, _, _ in results:
        assert np.array_equal(vectors, later)
    assert len(list(settings.root.glob("*ledger.key*"))) + len(list(settings.root.glob(".ledger.key*"))) == 1


def test_the_first_of_two_processes_to_append_a_key_wins(settings: Settings) -> None:
    # Each process appends the same 20 keys five times, its number (or a later round's) as the vector.
    code = (
        "import sys, numpy as np; from embeddings import store; from embeddings.model import describe_model;"
        "from embeddings.settings import load_settings; s = load_settings(home=sys.argv[1]); m = describe_model(s)\n"
        "for round in range(5):\n"
        "    value = int(sys.argv[2]) + 10 * round\n"
        "    keys = [bytes([n] * 16) for n in range(20)]\n"
        "    store.append_text_vectors(s, m, keys, np.full((20, m.dimension), value, np.float32))\n"
    )
    commands = [[sys.executable, "-c", code, str(settings.root), str(number)] for number in (1, 2)]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in processes] == [0, 0]
    model, keys = describe_model(settings), [bytes([number] * 16) for number in range(20)]
    rows = store.read_table(settings, model.model_id, store.TEXT_VECTORS)
    assert len(rows) == 200
    known, before = store.find_text_vectors(settings, model, keys)
    assert known.all() and len(np.unique(before)) == 1
    assert before[0, 0] in (1, 2)  # of the first round
    store.append_text_vectors(settings, model, keys[::-1], np.full((20, model.dimension), 99, np.float32))
    _, after = store.find_text_vectors(settings, model, [b"x" * 16, *keys])
    assert np.array_equal(after[1:], before) and not after[0].any()


def test_writers_that_meet_at_a_ledger_not_yet_made_lose_nothing(tmp_path: Path) -> None:
    for attempt in range(12):
        settings = load_settings(home=tmp_path / str(attempt))
        model, start = describe_model(settings), Barrier(3)

        def append(number: int, settings: Settings = settings, model: Model = model, start: Barrier = start) -> None:
            start.wait()
            row = np.full((1, model.dimension), number, np.float32)
            store.append_text_vectors(settings, model, [bytes([number] * store.KEY_BYTES)], row)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(append, range(3)))
        assert len(store.read_table(settings, model.model_id, store.TEXT_VECTORS)) == 3


def test_a_killed_filling_goes_on_where_it_stopped(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"film number {number} about {'night ' * 150}" for number in range(600)]
    code = (
        "import sys; from embeddings import ledger; from embeddings.settings import load_settings; ledger.CHUNK = 20;"
        "ledger.embed_texts(load_settings(home=sys.argv[1]),"
        "    [f\"film number {number} about {'night ' * 150}\" for number in range(600)])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(settings.root)])
    model = describe_model(settings)
    versions = store.model_folder(settings, model.model_id) / "text_vectors.lance" / "_versions"
    deadline = time.monotonic() + 120
    while len(list(versions.glob("*.manifest"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    count = len(store.read_table(settings, model.model_id, store.TEXT_VECTORS))
    assert 0 < count < len(texts) and count % 20 < 20
    secret = ledger_secret(settings)
    keys = [text_key(secret, model.model_id, "", " ".join(text.split())) for text in texts]
    known, _ = store.find_text_vectors(settings, model, keys)
    assert known.sum() == count
    some = [text for text, there in zip(texts, known, strict=True) if there][:5]
    rest = [text for text, there in zip(texts, known, strict=True) if not there][:5]
    _, _, stats = embed_texts(settings, some + rest)
    assert (stats["known"], stats["embedded"]) == (len(some), len(rest))


def test_a_home_that_others_may_read_keeps_the_key_private(settings: Settings) -> None:
    mask = os.umask(0)
    try:
        ledger_secret(settings)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((settings.root / "ledger.key").stat().st_mode) == 0o600
