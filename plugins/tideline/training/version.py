"""Train a version from what a run holds, judge it, store it, and make it the champion if it is better."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from embeddings.settings import Settings
from tideline.models import (
    Version,
    champion_for,
    find_version,
    next_champion_from,
    promote,
    remove_unused,
    save_version,
)
from tideline.ranking.inputs import RANKER
from tideline.ranking.learned import Plan, Trained, load, save, train
from tideline.ranking.learned.fixed_blend import UNTRAINED
from tideline.ranking.learned.from_run import load_past
from tideline.ranking.learned.lists import K
from tideline.run import Run, write_atomically
from tideline.serving.retention import MARKER
from tideline.training.fusion import Fusion, learn_fusion
from tideline.training.judging import Bench, Decision, Rival, decide, fallback_rival

NDCG = f"held_out_ndcg@{K}"
Counts = dict[str, int | float | str | bool | None]


def train_version(run: Run, settings: Settings) -> Counts:
    """Learn a version from a run's `tables` and `vectors`, all of it before `as_of`, and store it below `models/`.

    First what joins and fuses, then the ranking, of lists whose vectors are made as those of a night are. It becomes
    champion if it beats `run.model` (`judging.decide`), or the fixed blend where there is none. The decision stands on
    its card and in the log of champions; its figures go to `evaluation/`, from where the next commit takes them into
    `quality_metrics`. A repeated call leaves one version and one entry of the log.

    Returns
    -------
    dict
        `users`, `events`, `lists` and `held_lists` (of the mode with most), `version`, `promoted`, `decision`.
    """
    from threadpoolctl import threadpool_limits

    loaded = load_past(run.tables, run.vectors, run.window.as_of)
    learned = run.path / "learned"
    shutil.rmtree(learned, ignore_errors=True)
    fusion = learn_fusion(run, settings, learned)
    bench = Bench(_rival(run))
    past = replace(loaded.past, interests_of=fusion.interests_of)
    # Sources and blocks have threads of their own: products in more threads would only wait for each other.
    with threadpool_limits(1, "blas"):
        trained = train(past, Plan(threads=settings.threads), bench)
    save(trained, learned / RANKER)
    decision = decide(trained, bench)
    version = _store(run, learned, _card(run, fusion, trained, decision))
    if version.name == run.model:
        decision = Decision(False, f"the same as {version.name}: nothing new to learn from", run.model, {})
    else:
        _keep_figures(run, version, decision)
    if decision.promoted:
        _promote(run, version, decision)
    remove_unused(run.root, settings.keep_generations)
    modes = trained.card["modes"].values()
    counts: Counts = {
        "users": loaded.past.users,
        "events": int(loaded.past.user.size),
        "lists": max(card.get("lists", 0) for card in modes),
        "held_lists": max(card.get("held_lists", 0) for card in modes),
        "version": version.name,
        "promoted": decision.promoted,
        "decision": decision.reason,
    }
    # A training publishes nothing: this says that its run has ended, and its folder may go.
    write_atomically(run.path / MARKER, json.dumps(counts, indent=1))
    return counts


def _rival(run: Run) -> Rival:
    if run.model is None:
        return fallback_rival()
    champion = find_version(run.root, run.model)
    try:
        models = load(champion.folder / RANKER).models
    except ValueError:
        models = {}  # written in another format: it cannot be asked any more
    unseen = (run.window.as_of.astimezone(UTC).replace(tzinfo=None) - champion.trained_until) / timedelta(days=1)
    return Rival(models, unseen, champion.name)


def _card(run: Run, fusion: Fusion, trained: Trained, decision: Decision) -> dict[str, Any]:
    """Return the card of a version. Nothing in it tells when or by which run it was made."""
    return {
        "trained_until": run.window.as_of.astimezone(UTC).isoformat(),
        "source": run.source,
        "vars": dict(run.vars),
        **fusion.card,
        "repeats": trained.repeats,
        "popular": trained.popular,
        "modes": {mode: _summary(card) for mode, card in trained.card["modes"].items()},
        "decision": decision.to_json(),
    }


def _summary(card: dict[str, Any]) -> dict[str, Any]:
    """Return of a mode what a reader of the card asks first; all of it is in the ranker's own card."""
    return {name: card[name] for name in ("winner", "note", "lists", "held_lists", f"ndcg@{K}") if name in card}


def _store(run: Run, learned: Path, card: dict[str, Any]) -> Version:
    def write(folder: Path) -> dict[str, Any]:
        shutil.copytree(learned, folder, dirs_exist_ok=True)
        return card

    return save_version(run.root, write)


def _promote(run: Run, version: Version, decision: Decision) -> None:
    present = champion_for(run.root, run.window.as_of)
    if present is None or present.name != version.name:  # else an attempt before this one got so far
        promote(run.root, version, decision.reason, next_champion_from(run.root, run.window.as_of))


def _keep_figures(run: Run, version: Version, decision: Decision) -> None:
    rows: list[tuple[str, str, float]] = [("promoted", version.name, float(decision.promoted))]
    for mode, found in decision.compared.items():
        own, other = f"{version.name}/{mode}", f"{decision.against or UNTRAINED}/{mode}"
        rows += [
            (NDCG, own, found.challenger),
            (NDCG, other, found.rival),
            (f"{NDCG}_difference", own, found.difference.value),
            (f"{NDCG}_difference_low", own, found.difference.low),
            (f"{NDCG}_difference_high", own, found.difference.high),
            ("held_out_lists", own, found.lists),
        ]
    content = {
        "generation": run.generation,
        "as_of": run.window.as_of.isoformat(),
        "rows": [{"metric": metric, "subject": subject, "value": value} for metric, subject, value in rows],
    }
    file = run.root / "evaluation" / f"training-{version.name}.json"
    write_atomically(file, json.dumps(content, indent=2, allow_nan=False))
