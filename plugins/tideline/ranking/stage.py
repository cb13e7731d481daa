"""The ranking stage: blocks of users, from candidates to Parquet parts."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace

import duckdb
import numpy as np

from embeddings.settings import Settings
from tideline.ranking.because import cite
from tideline.ranking.block import Block, load_block, load_users
from tideline.ranking.candidates import Candidates, propose_all
from tideline.ranking.candidates.interest import ITEM_INDEX, build_index_if_it_pays
from tideline.ranking.catalogue import Catalogue, load_catalogue
from tideline.ranking.features import compute_features
from tideline.ranking.plan import RankingPlan, load_plan
from tideline.ranking.ranker import score
from tideline.ranking.rows import Ranked, build_table, write_part
from tideline.ranking.rules import keep
from tideline.run import Run

RANKER_VERSION = "blend-1"
"""Name of the score's formula; raise it when the same inputs would get other scores."""


def rank(run: Run, settings: Settings) -> dict[str, int | float | str]:
    """Rank items for every user of the run and write `run.scored/part-<n>.parquet`, columns `contracts.SCORED`.

    Each user of `dim_users` gets the first `top_k` of the items that rules allow, fewer only where the catalogue
    has fewer. Memory is bounded by `settings.user_block` users; the block size does not change the result. Rows are
    ordered by user and rank, and the same inputs give the same files.

    Returns
    -------
    dict
        `users`, `rows`, `candidates`, `blocks`, `users_without_vectors`, `users_below_top_k`; and `index_recall` where
        an index of the items was built.

    Raises
    ------
    RankingError
        If weights are missing or unknown.
    """
    run.scored.parent.mkdir(parents=True, exist_ok=True)
    part_folder = run.scored.with_name(f".{run.scored.name}.part")
    shutil.rmtree(part_folder, ignore_errors=True)
    part_folder.mkdir()
    counts: Counter[str] = Counter(
        dict.fromkeys(("users", "rows", "candidates", "blocks", "users_without_vectors", "users_below_top_k"), 0)
    )
    recall: dict[str, float] = {}
    with duckdb.connect(config={"threads": settings.threads, "memory_limit": settings.memory_limit}) as connection:
        connection.execute("set temp_directory = $1", [str(run.path / "ranking_spill")])
        plan = load_plan(connection, run, settings.threads)
        catalogue = load_catalogue(connection, run)
        counts["users"] = load_users(connection, run)
        for number, first in enumerate(range(0, max(counts["users"], 1), settings.user_block)):
            block = load_block(connection, run, plan, catalogue, first, settings.user_block)
            if number == 0 and (index := build_index_if_it_pays(block, catalogue, run, plan, counts["users"])):
                recall["index_recall"] = index.recall
                catalogue = replace(catalogue, index=index if index.good_enough else None)
            candidates = propose_all(block, catalogue, plan)
            ranked = rank_block(block, catalogue, plan, candidates)
            write_part(build_table(ranked, block, catalogue, plan), part_folder / f"part-{number:05d}.parquet")
            counts["blocks"] += 1
            counts["rows"] += ranked.item.size
            counts["candidates"] += candidates.item.size
            counts["users_without_vectors"] += int((~block.interests.has_fused).sum())
            counts["users_below_top_k"] += int((np.bincount(ranked.user, minlength=block.size) < plan.top_k).sum())
    shutil.rmtree(run.scored, ignore_errors=True)
    part_folder.replace(run.scored)
    shutil.rmtree(run.path / ITEM_INDEX, ignore_errors=True)
    return {**counts, **recall}


def rank_block(block: Block, catalogue: Catalogue, plan: RankingPlan, candidates: Candidates) -> Ranked:
    """Score the candidates of a block, apply the rules and keep each user's first `top_k`.

    Ties in the score are broken by item id, so the order is total.
    """
    allowed = keep(block, catalogue, candidates.user, candidates.item)
    user, item, sources = candidates.user[allowed], candidates.item[allowed], candidates.sources[allowed]
    features = compute_features(block, catalogue, user, item)
    total, parts = score(features, plan.weights)
    # Item indices follow item ids, so the index breaks ties by id.
    order = np.lexsort((item, -total, user))
    starts = np.searchsorted(user[order], np.arange(block.size))
    position = np.arange(order.size) - starts[user[order]]
    order, position = order[position < plan.top_k], position[position < plan.top_k]
    user, item, parts = user[order], item[order], parts[order]
    return Ranked(
        user=user,
        item=item,
        rank=position + 1,
        score=total[order],
        parts=parts,
        long_score=features["long_cosine"][order],
        short_score=features["short_cosine"][order],
        sources=sources[order],
        cited=cite(block, catalogue, plan.weights, user, item, parts),
    )
