"""The figures as a picture: every model's NDCG@10 with its interval, one panel a mode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tideline.evaluation.contest import MODEL
from tideline.evaluation.figures import MEAN, NDCG, Figure
from tideline.evaluation.summary import MODES

OURS, THEIRS = "#c2410c", "#475569"


def draw(figures: Sequence[Figure], title: str, file: Path) -> None:
    """Draw means over the cutoffs (dots), their 95% intervals (lines) and the single cutoffs (ticks) into a PNG file."""
    from matplotlib.figure import Figure as Canvas

    values = {(figure["metric"], figure["subject"]): figure["value"] for figure in figures}
    modes = [mode for mode in MODES if any(subject.endswith(f"/{MEAN}/{mode}/all") for _, subject in values)]
    canvas = Canvas(figsize=(7 * max(len(modes), 1), 5.5), layout="constrained")
    canvas.suptitle(title)
    for panel, mode in enumerate(modes):
        axes = canvas.add_subplot(1, len(modes), panel + 1)
        end = f"/{MEAN}/{mode}/all"
        means = {subject.removesuffix(end): value for (metric, subject), value in values.items() if metric == NDCG and subject.endswith(end)}
        ranked = sorted(means, key=lambda model: means[model])
        for place, model in enumerate(ranked):
            colour = OURS if model == MODEL else THEIRS
            bounds = [values.get((f"{NDCG}_{side}", f"{model}{end}"), means[model]) for side in ("low", "high")]
            axes.plot(bounds, [place, place], color=colour, linewidth=2)
            axes.plot([means[model]], [place], "o", color=colour)
            single = [
                value
                for (metric, subject), value in values.items()
                if metric == NDCG and subject.startswith(f"{model}/") and subject.endswith(f"/{mode}/all") and not subject.endswith(end)
            ]
            axes.plot(single, [place] * len(single), "|", color=colour, alpha=0.6)
        axes.set_yticks(range(len(ranked)), ranked)
        axes.set_xlim(left=0)
        axes.set_title(MODES[mode], loc="left")
        axes.set_xlabel("NDCG@10: mean over the cutoffs, its 95% interval, single cutoffs")
        axes.grid(axis="x", alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.png")
    canvas.savefig(part, dpi=110)
    part.replace(file)
