"""`evaluate`: publish at past cutoffs, and score that against what came after them, beside the best peers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.settings import Settings
from tideline.commands.run import take_in_everything
from tideline.evaluation.contest import Ground, compete
from tideline.evaluation.cutoffs import Plan, choose_cutoffs, given_cutoffs
from tideline.evaluation.events import known_events
from tideline.evaluation.figures import MEAN, Figure, make_figures, settings_figures
from tideline.evaluation.picture import draw
from tideline.evaluation.publications import (
    Publication,
    interests_at,
    publish_at,
    read_published,
    run_folder,
)
from tideline.evaluation.split import Mode, Split, split_at
from tideline.evaluation.summary import print_summary
from tideline.evaluation.vectors import load_vectors
from tideline.report import row, write_report
from tideline.run import write_atomically

REPEATS = "repeats_allowed"


def evaluate(
    settings: Settings, cutoffs: str | None = None, horizon_days: float = 7, *, slow: bool = False
) -> list[Figure]:
    """Score Tideline and its peers on the days after each cutoff, show the figures and keep them.

    They go to `reports/evaluate.json` and `reports/evaluate.png`, and to `evaluation/*.json`, from where the next
    commit takes them into `quality_metrics`.

    Parameters
    ----------
    cutoffs
        Times separated by commas. None: `choose_cutoffs` takes them from the data.
    slow
        Also run the peers that need an environment of their own.

    Returns
    -------
    list of dict
        Rows as `tideline.report.row` makes them; `figures.make_figures` says which.

    Raises
    ------
    ValueError
        If nobody with history has events after a cutoff, or a cutoff is no time.
    EvaluationError, OutsideError
        If a run, or a peer in its own environment, fails.
    """
    started = time.perf_counter()
    end = take_in_everything(settings)
    modes: list[Mode] = ["repeats", "new"]
    if REPEATS in settings.vars:
        modes = ["repeats"] if settings.vars[REPEATS] else ["new"]
    if cutoffs:
        plan = given_cutoffs(cutoffs, horizon_days)
    else:
        plan = choose_cutoffs(known_events(settings, end), end, horizon_days)
    _say(plan, horizon_days)
    for cutoff in plan.cutoffs:
        _check(_split(cutoff, horizon_days, settings, None), modes)
    seconds: dict[str, float] = {"events": time.perf_counter() - started}
    made: dict[datetime, dict[Mode, Publication]] = {}
    for cutoff in plan.cutoffs:
        made[cutoff] = publish_at(cutoff, modes, settings)
        for mode, publication in made[cutoff].items():
            seconds[f"run {cutoff:%Y-%m-%dT%H:%M}/{mode}"] = publication.seconds
            print(f"  published as of {cutoff:%Y-%m-%d %H:%M} ({mode}): {publication.generation}", flush=True)
    grounds = [_ground(cutoff, horizon_days, made[cutoff], settings) for cutoff in plan.cutoffs]
    print("  asking the peers ...", flush=True)
    places, chosen, taken = compete(_tuning_ground(plan, horizon_days, settings), grounds, modes, slow=slow)
    seconds |= {f"peer {name}": value for name, value in taken.items()}
    figures = make_figures(places)
    title = f"{settings.source}, {horizon_days:g} days after each of {len(plan.cutoffs)} cutoffs"
    print_summary(figures, chosen, title)
    draw(figures, title, settings.root / "reports" / "evaluate.png")
    seconds["total"] = time.perf_counter() - started
    told = settings_figures(chosen, f"{plan.tuning:%Y-%m-%d}")
    times = [row("seconds", name, round(value, 3), "s") for name, value in seconds.items()]
    report = write_report("evaluate", [*figures, *told, *times], settings)
    _keep(figures, made, horizon_days, settings)
    print(f"Done in {seconds['total']:.0f} s. Figures: {report}, picture: {report.with_suffix('.png')}")
    return [*figures, *told, *times]


def _ground(cutoff: datetime, horizon_days: float, made: Mapping[Mode, Publication], settings: Settings) -> Ground:
    published = {mode: read_published(publication, settings) for mode, publication in made.items()}
    items = pa.chunked_array([chunk for table in published.values() for chunk in table["item_id"].chunks], pa.string())
    folder = run_folder(next(iter(made.values())), settings)
    split = _split(cutoff, horizon_days, settings, items.unique())
    window = pq.read_table(folder / "tables" / "run_settings.parquet")["short_window_days"][0].as_py()
    return Ground(split, load_vectors(folder / "vectors", split), published, float(window))


def _tuning_ground(plan: Plan, horizon_days: float, settings: Settings) -> Ground:
    split = _split(plan.tuning, horizon_days, settings, None)
    if not split.test_user.size:
        print(f"  nobody to tune on at {plan.tuning:%Y-%m-%d}: peers take their first settings", flush=True)
        return Ground(split, None, {}, 0.0)
    folder = run_folder(interests_at(plan.tuning, settings), settings)
    return Ground(split, load_vectors(folder / "vectors", split), {}, 0.0)


def _split(cutoff: datetime, horizon_days: float, settings: Settings, items: pa.Array | None) -> Split:
    later = known_events(settings, cutoff + timedelta(days=horizon_days))
    return split_at(known_events(settings, cutoff), later, cutoff, horizon_days, items)


def _check(split: Split, modes: Sequence[Mode]) -> None:
    if not any(split.test_users(mode).size for mode in modes):
        raise ValueError(
            f"no known user has events in the {split.horizon_days:g} days after {split.cutoff:%Y-%m-%d %H:%M}: "
            "take another CUTOFF or a longer HORIZON, or land later events"
        )


def _say(plan: Plan, horizon_days: float) -> None:
    listed = ", ".join(f"{cutoff:%Y-%m-%d %H:%M}" for cutoff in plan.cutoffs)
    why = f" (the last with at least {plan.enough} test users)" if plan.enough else ""
    print(
        f"Cutoffs{why}: {listed}; {horizon_days:g} days after each; peers tuned at {plan.tuning:%Y-%m-%d %H:%M}",
        flush=True,
    )


def _keep(
    figures: Sequence[Figure],
    made: Mapping[datetime, Mapping[Mode, Publication]],
    horizon_days: float,
    settings: Settings,
) -> None:
    """Write what the next commit takes into `quality_metrics`: one file a mode, named by what it was measured on."""
    for mode, last in made[max(made)].items():
        generations = [publications[mode].generation for publications in made.values()]
        rows = [
            {name: figure[name] for name in ("metric", "subject", "value", "unit")}
            for figure in figures
            if f"/{mode}/" in figure["subject"]
            and (f"/{MEAN}/" in figure["subject"] or figure["subject"].endswith("/all"))
        ]
        content = {"generation": last.generation, "as_of": last.cutoff, "generations": generations, "rows": rows}
        name = f"{mode}-{horizon_days:g}d-{len(made)}x-{last.generation}"
        write_atomically(settings.root / "evaluation" / f"{name}.json", json.dumps(content, indent=2, allow_nan=False))
