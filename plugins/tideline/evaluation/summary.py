"""The figures for a person: a table for each mode, and one by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tideline.evaluation.contest import MODEL, Chosen
from tideline.evaluation.figures import DIFFERENCE, MEAN, NDCG, Figure
from tideline.evaluation.metrics import K

WIDTH = 150
BESIDE = ("recall", "hit_rate", "coverage", "novelty", "diversity")
MODES = {"repeats": "repeats allowed", "new": "new items only"}
Values = Mapping[tuple[str, str, str, str, str], float]


def print_summary(figures: Sequence[Figure], chosen: Chosen, title: str) -> None:
    """Print models by NDCG@10, the best first: means over the cutoffs, the single cutoffs, and the segments."""
    console = Console()
    console = Console(width=max(console.width, WIDTH))
    values: dict[tuple[str, str, str, str, str], float] = {}
    gaps: dict[tuple[str, str, str], float] = {}
    for figure in figures:
        parts = (figure["subject"] or "").split("/")
        if len(parts) != 4:
            continue
        model, where, mode, segment = parts
        if figure["metric"].startswith(DIFFERENCE):
            if (where, segment) == (MEAN, "all"):
                gaps[figure["metric"], figure["compared_with"].split("/")[0], mode] = figure["value"]
        else:
            values[figure["metric"], model, where, mode, segment] = figure["value"]
    for mode, name in MODES.items():
        ranked = sorted(
            (key[1] for key in values if key[0] == NDCG and key[2:] == (MEAN, mode, "all")),
            key=lambda model: -values[NDCG, model, MEAN, mode, "all"],
        )
        if ranked:
            console.print(_means(ranked, mode, f"{title}, {name}", values, gaps))
            console.print(_places(ranked, mode, f"NDCG@{K} by cutoff and, as means over them, by segment", values))
    console.print(_settings(chosen))


def _means(
    ranked: Sequence[str], mode: str, title: str, values: Values, gaps: Mapping[tuple[str, str, str], float]
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in (f"NDCG@{K} (95%)", f"{MODEL} minus it (95%)", *(metric.replace("_", " ") for metric in BESIDE)):
        table.add_column(name, justify="right", no_wrap=True)
    for model in ranked:
        own = [values.get((f"{NDCG}{end}", model, MEAN, mode, "all")) for end in ("", "_low", "_high")]
        gap = [gaps.get((f"{DIFFERENCE}{end}", model, mode)) for end in ("", "_low", "_high")]
        beside = (_show(values.get((f"{metric}@{K}", model, MEAN, mode, "all"))) for metric in BESIDE)
        table.add_row(model, _with_interval(own), _with_interval(gap, "+"), *beside, style=_style(model))
    return table


def _places(ranked: Sequence[str], mode: str, title: str, values: Values) -> Table:
    cutoffs = sorted({key[2] for key in values if key[0] == NDCG and key[3] == mode} - {MEAN})
    segments = list(dict.fromkeys(key[4] for key in values if key[0] == "users" and key[2:4] == (MEAN, mode)))
    columns = [(cutoff, "all") for cutoff in cutoffs] + [(MEAN, segment) for segment in segments if segment != "all"]
    table = Table(title=title, title_justify="left")
    table.add_column("model\nusers", no_wrap=True)
    for where, segment in columns:
        name = where if segment == "all" else segment.replace("_", " ")
        users = int(values["users", "all", where, mode, segment])
        table.add_column(f"{name}\n{users}", justify="right", no_wrap=True)
    for model in ranked:
        cells = (_show(values.get((NDCG, model, where, mode, segment))) for where, segment in columns)
        table.add_row(model, *cells, style=_style(model))
    return table


def _settings(chosen: Chosen) -> Table:
    table = Table(title="Settings, tuned on an earlier cutoff", title_justify="left")
    for name in ("peer", *MODES.values()):
        table.add_column(name, no_wrap=True)
    for peer, modes in chosen.items():
        if not any(tuned.settings for tuned in modes.values()):
            continue
        table.add_row(peer, *(str(modes[mode]) if mode in modes else "" for mode in MODES))  # type: ignore[index]
    return table


def _show(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def _with_interval(found: Sequence[float | None], sign: str = "") -> str:
    value, *bounds = found
    if value is None:
        return ""
    told = " to ".join(f"{bound:{sign}.4f}" for bound in bounds if bound is not None)
    return f"{value:{sign}.4f} ({told})"


def _style(model: str) -> str | None:
    return "bold" if model == MODEL else None
