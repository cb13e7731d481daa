"""The ranking stage: blocks of users, from candidates to Parquet parts."""

from __future__ import annotations

import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.failpoints import failpoint
from embeddings.lookahead import map_ahead
from embeddings.settings import Settings
from tideline.ranking.because import Windows, cite
from tideline.ranking.events import Events, load_events, load_items
from tideline.ranking.faithfulness import measure_faithfulness
from tideline.ranking.inputs import Inputs, load_inputs
from tideline.ranking.learned.features import Prepared
from tideline.ranking.learned.ranking import Scored, divide, score
from tideline.ranking.reasons import write_reasons
from tideline.ranking.rows import EXPLORATION, SOURCE_NAMES, Listed, build_table, write_part
from tideline.ranking.rules import Explorers, arrange, draw_seeds
from tideline.ranking.rules import Scored as Candidates
from tideline.run import Run

REACH = 10
"""Candidates that rules choose from, for each place of a list."""


@dataclass(frozen=True)
class _Block:
    """Users `first` to `last` with what is read of them."""

    first: int
    last: int
    prepared: Prepared
    events: Events


def rank(run: Run, settings: Settings) -> dict[str, int | float | str]:
    """Rank items for every user of the run and write `run.scored/part-<n>.parquet`, columns `contracts.SCORED`.

    Each user of `dim_users` gets the first `top_k` of the items that rules allow, fewer only where the catalogue
    has fewer. Memory is bounded by `settings.user_block` users; the block size does not change the result. Rows are
    ordered by user and rank, and the same inputs give the same files.

    Returns
    -------
    dict
        `users`, `rows`, `blocks`, `users_without_vectors`, `users_below_top_k`, and seconds: `learning`, of what is
        learned from everybody (0 for an hour with a base), and `scoring`. Of a night also what `measure_faithfulness`
        counts, and its seconds.

    Raises
    ------
    RankingError
        If the base night or the pinned version lacks its files.
    """
    from threadpoolctl import threadpool_limits

    # Blocks have threads of their own; small products in two more each only wait for each other.
    with threadpool_limits(1, "blas"):
        return _rank(run, settings)


def _rank(run: Run, settings: Settings) -> dict[str, int | float | str]:
    run.scored.parent.mkdir(parents=True, exist_ok=True)
    # A second attempt of the run may rank at the same time: each writes aside under a name of its own.
    aside = f".{run.scored.name}.{secrets.token_hex(4)}"
    part_folder, former = run.scored.with_name(f"{aside}.part"), run.scored.with_name(f"{aside}.former")
    part_folder.mkdir()
    started = time.perf_counter()
    inputs = load_inputs(run)
    learned = time.perf_counter()
    users = len(inputs.user_id)
    counts: Counter[str] = Counter(
        dict.fromkeys(("users", "rows", "blocks", "users_without_vectors", "users_below_top_k"), 0)
    )
    counts["users"] = users
    with duckdb.connect(config={"threads": settings.threads, "memory_limit": settings.memory_limit}) as connection:
        connection.execute("set temp_directory = $1", [str(run.path / "ranking_spill")])
        load_items(connection, inputs)

        def given() -> Iterator[_Block]:
            for first in range(0, max(users, 1), settings.user_block):
                last = min(first + settings.user_block, users)
                yield _Block(first, last, inputs.block(first, last), load_events(connection, run, inputs, first, last))

        def work(block: _Block) -> tuple[pa.Table, dict[str, int]]:
            listed = rank_block(inputs, block.prepared, block.events, block.first, block.last)
            ids, model = inputs.user_id[block.first : block.last], inputs.plan.model_version
            table = build_table(listed, ids, inputs.catalogue, block.events, model)
            lengths = np.bincount(listed.user, minlength=block.last - block.first)
            fused = block.prepared.past.interests.fused[:-1]
            return table, {
                "blocks": 1,
                "rows": listed.user.size,
                "users_without_vectors": int((~fused.any(axis=1)).sum()),
                "users_below_top_k": int((lengths < inputs.plan.top_k).sum()),
            }

        # This thread reads, others work: what holds the interpreter in one goes on beside numbers in another.
        for number, (table, counted) in enumerate(map_ahead(work, given(), settings.threads)):
            failpoint("ranking.part.before")
            write_part(table, part_folder / f"part-{number:05d}.parquet")
            failpoint("ranking.part.after")
            counts.update(counted)
        ended = time.perf_counter()
        seconds = {"learning": round(learned - started, 3), "scoring": round(ended - learned, 3)}
        if run.kind == "nightly":
            counts.update(measure_faithfulness(run, inputs, connection, part_folder, reach(inputs)))
            seconds["faithfulness_seconds"] = round(time.perf_counter() - ended, 3)
    failpoint("ranking.rename.before")
    with suppress(FileNotFoundError):
        run.scored.rename(former)
    part_folder.rename(run.scored)
    failpoint("ranking.rename.after")
    shutil.rmtree(former, ignore_errors=True)
    return {**counts, **seconds}


def reach(inputs: Inputs) -> int:
    """Return how many rows of a user are scored for rules to choose from."""
    return REACH * inputs.plan.top_k if inputs.rules.reorder else inputs.plan.top_k


def rank_block(inputs: Inputs, prepared: Prepared, events: Events, first: int, last: int) -> Listed:
    """Score the candidates of a block of users, arrange each list by the rules and say why each row is there."""
    plan, past = inputs.plan, prepared.past
    users = np.arange(last - first)
    blocks = score(
        inputs.trained,
        prepared,
        users,
        reach(inputs),
        repeats=plan.repeats_allowed,
        allowed=inputs.catalogue.available,
    )
    pairs = _join(list(blocks))
    explorers = Explorers(
        seeds=draw_seeds(inputs.user_id[first:last].to_pylist(), plan.as_of),
        fused=past.interests.fused[:-1],
        had=past.pairs[users],
    )
    given = Candidates(pairs.row, pairs.item, pairs.score)
    arranged = arrange(inputs.rules, given, inputs.facts, plan.top_k, explorers)
    known = arranged.index >= 0
    ranked = pairs.take(arranged.index[known])
    parts = {
        name: _spread(values, known)
        for name, values in divide(inputs.trained, ranked, repeats=plan.repeats_allowed).items()
    } | {"rules": arranged.rules_part}
    likeness = inputs.knowledge.lessons.get("item_knn", {}).get("likeness")
    windows = _windows(inputs.user_vectors, first, last)
    cited = cite(events, windows, inputs.past.vectors, likeness, arranged.user, arranged.item, parts)
    reasons = write_reasons(
        events, inputs.catalogue, plan.trend_days, arranged.user, arranged.item, parts, cited, ~known
    )
    sources = np.full(known.size, 1 << SOURCE_NAMES.index(EXPLORATION), dtype=np.int64)
    sources[known] = ranked.sources
    return Listed(
        user=arranged.user,
        item=arranged.item,
        rank=arranged.rank,
        score=arranged.score,
        parts=parts,
        long_score=_cosine(ranked, "text_long", known),
        short_score=_cosine(ranked, "text_short", known),
        sources=sources,
        cited=cited,
        rules=arranged.rules_column(),
        reasons=reasons,
    )


def _join(blocks: list[Scored]) -> Scored:
    fields = ("row", "item", "score", "sources", "features")
    joined = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in fields} if blocks else {}
    if not blocks:
        nothing = np.empty(0, dtype=np.int64)
        return Scored(nothing, nothing, np.empty(0), nothing, np.empty((0, 0), np.float32), (), np.empty(0, bool))
    return Scored(**joined, names=blocks[0].names, stranger=np.concatenate([block.stranger for block in blocks]))


def _spread(values: NDArray[np.float64], known: NDArray[np.bool_], rest: float = 0.0) -> NDArray[np.float64]:
    """Return the values of known rows among all rows."""
    spread = np.full(known.size, rest)
    spread[known] = values
    return spread


def _cosine(pairs: Scored, name: str, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the cosine behind a feature, which is moved by 1 so that 0 says that there is none; NaN there."""
    feature = pairs.column(name).astype(np.float64)
    return _spread(np.where(feature > 0, np.clip(feature - 1, -1.0, 1.0), np.nan), known, np.nan)


def _windows(file: Path, first: int, last: int) -> Windows:
    names = ("gate", "long_norm", "short_norm", "fused_norm")
    table = pq.read_table(file, columns=list(names)).slice(first, last - first)
    return Windows(**{name: table[name].to_numpy().astype(np.float64) for name in names})
