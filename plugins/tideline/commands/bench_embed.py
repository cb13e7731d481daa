"""`make bench-embed`: tokens a second of the embedding engine beside sentence-transformers' defaults, in one run.

The texts are those of `LANDING` (the folder of `amazon2023_slice`); without it, the Python language reference.
Also: the share of the machine's matrix-product rate, fidelity of what computes on these very texts, and what a second
run over the same texts and one percent of new ones costs.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from embeddings.settings import Settings, load_settings
from tideline.report import print_table, row, write_report

COMPARED = "sentence-transformers defaults"
ROUNDS = 3


def bench_embed(settings: Settings, texts_at_most: int = 2500) -> None:
    """Print and report the figures.

    Raises
    ------
    ValueError
        If the landing folder has no texts that this benchmark can read.
    """
    from embeddings.backends import REFERENCE
    from embeddings.encoder import load_encoder
    from embeddings.model import describe_model
    from embeddings.texts import normalise
    from embeddings.tokens import load_tokeniser

    subject, raw = read_texts(settings)
    texts = sorted({text for text in map(normalise, raw) if text})
    order = np.random.default_rng(0).permutation(len(texts))[:texts_at_most]
    texts = [texts[position] for position in np.sort(order)]
    model = describe_model(settings)
    if model.kind != "sentence-transformers":
        raise ValueError(f"the defaults of sentence-transformers cannot run {settings.model}: set TIDELINE_MODEL")
    tokens = sum(one.length for one in load_tokeniser(model)(texts))
    print(f"{len(texts)} texts, {tokens} tokens, {subject}", flush=True)
    encoder = load_encoder(settings, texts)
    ours, theirs = _ours(encoder), _defaults(model.path, settings.threads)
    # Alternating, so that a machine that slows down slows both.
    timed: dict[str, list[float]] = {"ours": [], "theirs": []}
    vectors: dict[str, Any] = {}
    for number in range(ROUNDS):
        for name, work in (("ours", ours), ("theirs", theirs)):
            started = time.perf_counter()
            vectors[name] = work(texts)
            timed[name].append(time.perf_counter() - started)
        print(f"round {number + 1} of {ROUNDS}: {timed['ours'][-1]:.1f} s, {timed['theirs'][-1]:.1f} s", flush=True)
    rates = {name: tokens / min(seconds) for name, seconds in timed.items()}
    figures = [
        row("tokens_per_second", subject, round(rates["ours"]), "tokens/s", COMPARED, rates["theirs"]),
        row("tokens_per_second", COMPARED, round(rates["theirs"]), "tokens/s"),
        *_share(settings, encoder.backend, model.path, rates),
        *_fidelity(encoder, vectors["theirs"], vectors["ours"], texts, REFERENCE),
        *_again(settings, texts),
        row("texts", subject, len(texts), "texts"),
        row("tokens", subject, tokens, "tokens"),
    ]
    print_table(f"Embedding: {model.model_id} by {encoder.backend}", figures)
    print(f"Written: {write_report('bench-embed', figures, settings)}")


def read_texts(settings: Settings) -> tuple[str, list[str]]:
    """Return what the texts are and the texts: reviews and titles of a landing folder, or plain English."""
    from embeddings.sample_texts import SUBJECT, reference_paragraphs

    if settings.landing is None:
        return SUBJECT, reference_paragraphs()
    texts = []
    for file in sorted(settings.landing_path.glob("*.jsonl")):
        with file.open() as lines:
            for line in map(json.loads, lines):
                for event in (*(line.get("history") or ()), line.get("heldout") or {}):
                    texts.append(f"{event.get('review_title') or ''} {event.get('review_full') or ''}")
                    texts.append((event.get("product") or {}).get("title") or "")
    if not texts:
        raise ValueError(f"no texts in {settings.landing_path}: LANDING must be the folder of amazon2023_slice")
    return settings.landing_path.name, texts


def _ours(encoder: Any) -> Callable[[list[str]], Any]:
    return lambda texts: encoder.encode(texts)[0]


def _defaults(path: Path, threads: int) -> Callable[[list[str]], Any]:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    transformer = SentenceTransformer(str(path), local_files_only=True, device=None)
    return lambda texts: transformer.encode(texts, show_progress_bar=False)


def _share(settings: Settings, backend: str, path: Path, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Return the machine's product rate and how much of it the encoder's own products reach."""
    from embeddings.matrix_rate import product_rate

    _, device, precision = backend.split("-")
    config = json.loads((path / "config.json").read_text())
    # Attention's projections and the feed-forward part; attention itself is left out, so the share is a lower bound.
    hidden, wide, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    operations = 2 * layers * (4 * hidden * hidden + 2 * hidden * wide)
    rate = product_rate(precision, device, settings.threads)
    reached = rates["ours"] * operations
    return [
        row("matrix_product_rate", f"{device} {precision}", round(rate / 1e9, 1), "GFLOP/s"),
        row("operations_per_token", path.parent.name, operations, "FLOP"),
        row("share_of_matrix_rate", backend, round(reached / rate, 3), "share"),
        row("tokens_per_second", "floor at that rate", round(rate / operations), "tokens/s"),
    ]


def _fidelity(encoder: Any, reference: Any, vectors: Any, texts: list[str], name: str) -> list[dict[str, Any]]:
    from embeddings.backends.fidelity import measure

    figures = measure(reference, vectors, lambda position: encoder.encode([texts[position]])[0][0])
    return [row(metric, f"{encoder.backend} against {name}", value) for metric, value in figures._asdict().items()]


def _again(settings: Settings, texts: list[str]) -> list[dict[str, Any]]:
    """Return the seconds of a first run through the ledger, and of a second one with one percent of new texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from embeddings.embed import embed_run

    new = [f"{text} Once more." for text in texts[:: max(1, len(texts) // max(1, len(texts) // 100))]][
        : max(1, len(texts) // 100)
    ]
    settings.root.mkdir(parents=True, exist_ok=True)
    seconds, counts = [], []
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as scratch:
        fresh = load_settings(home=Path(scratch), model=settings.model, threads=settings.threads)
        empty = {name: pa.array([], pa.string()) for name in ("item_id", "title", "category", "description")}
        pq.write_table(pa.table(empty), Path(scratch) / "items.parquet")
        for name, some in (("none", []), ("first", texts), ("same", texts), ("second", [*texts, *new])):
            file = Path(scratch) / f"{name}.parquet"
            table = {"event_id": [str(position) for position in range(len(some))], "event_text": some}
            pq.write_table(pa.table(table, schema=pa.schema([(key, pa.string()) for key in table])), file)
            started = time.perf_counter()
            counts.append(embed_run(Path(scratch) / "items.parquet", file, Path(scratch) / name, fresh))
            seconds.append(time.perf_counter() - started)
    if counts[3]["embedded"] != len(set(new) - set(texts)):
        raise RuntimeError(f"the second run embedded {counts[3]['embedded']} texts, {len(new)} were new")
    _, first, same, second = seconds
    return [
        row("seconds", "first run through the ledger", round(first, 3), "s"),
        row("seconds", "second run, nothing new: the constant", round(same, 3), "s", "first run", first),
        row("seconds", "second run, 1% new", round(second, 3), "s", "first run", first),
        row("seconds", "second run less the constant", round(second - same, 3), "s", "first run", first),
    ]
