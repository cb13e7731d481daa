"""The figures for a person: a table for each mode, and one by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tideline.evaluation.contest import MODEL, Chosen
from tideline.evaluation.figures import DIFFERENCE, MEAN, NDCG, Figure
from tideline.evaluation.metrics import K

WIDTH = 150
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
            console.print(_segments(ranked, mode, f"NDCG@{K} by segment, means over the cutoffs, {name}", values))
    console.print(_settings(chosen))


def _means(
    ranked: Sequence[str], mode: str, title: str, values: Values, gaps: Mapping[tuple[str, str, str], float]
) -> Table:
    cutoffs = sorted({key[2] for key in values if key[0] == NDCG and key[3] == mode} - {MEAN})
    table = Table(title=title, title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in (f"NDCG@{K}", "95%", f"{MODEL} minus it", *cutoffs, "recall", "hit rate", "coverage", "novelty", "diversity"):
        table.add_column(name, justify="right", no_wrap=True)
    for model in ranked:
        interval = [values.get((f"{NDCG}_{end}", model, MEAN, mode, "all")) for end in ("low", "high")]
        gap = [gaps.get((f"{DIFFERENCE}{end}", model, mode)) for end in ("", "_low", "_high")]
        cells = [
            _show(values.get((NDCG, model, MEAN, mode, "all"))),
            f"{_show(interval[0])} to {_show(interval[1])}",
            "" if gap[0] is None else f"{gap[0]:+.4f} ({gap[1] or 0:+.4f} to {gap[2] or 0:+.4f})",
            *(_show(values.get((NDCG, model, cutoff, mode, "all"))) for cutoff in cutoffs),
            *(
                _show(values.get((f"{metric}@{K}", model, MEAN, mode, "all")))
                for metric in ("recall", "hit_rate", "coverage", "novelty", "diversity")
            ),
        ]
        table.add_row(model, *cells, style="bold" if model == MODEL else None)
    users = [values.get(("users", "all", where, mode, "all"), 0) for where in (MEAN, *cutoffs)]
    table.add_row("users", str(int(users[0])), "", "", *(str(int(count)) for count in users[1:]), style="dim")
    return table


def _segments(ranked: Sequence[str], mode: str, title: str, values: Values) -> Table:
    names = list(dict.fromkeys(key[4] for key in values if key[0] == "users" and key[2:4] == (MEAN, mode)))
    table = Table(title=title, title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in names:
        table.add_column(f"{name}\n{int(values['users', 'all', MEAN, mode, name])} users", justify="right", no_wrap=True)
    for model in ranked:
        cells = [_show(values.get((NDCG, model, MEAN, mode, name))) for name in names]
        table.add_row(model, *cells, style="bold" if model == MODEL else None)
    return table


def _settings(chosen: Chosen) -> Table:
    table = Table(title="Settings, tuned on an earlier cutoff", title_justify="left")
    for name in ("peer", *MODES.values()):
        table.add_column(name, no_wrap=True)
    for peer, modes in chosen.items():
        table.add_row(peer, *(str(modes[mode]) if mode in modes else "" for mode in MODES))  # type: ignore[index]
    return table


def _show(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"
