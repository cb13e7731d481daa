"""`make bench-fusion`: does the learned gate earn its place, and which hypotheses about the two windows hold here?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.settings import Settings
from tideline.evaluation.intervals import Bootstrap, estimate
from tideline.fusion_study.ground import load_ground
from tideline.fusion_study.variants import FIXED, Values, compare_gates, try_contrast, try_hypotheses
from tideline.report import print_table, row, write_report

KINDS = ("text", "joined")
PLAIN = "as it is: fused"
Line = dict[str, Any]


def bench_fusion(settings: Settings, horizon_days: float = 7) -> list[Line]:
    """Print and report NDCG@10 of every way to fuse, means over several cutoffs, with paired 95% intervals.

    Rows of the report: `ndcg@10` with the subject `<vectors>/<mode>/<way>`, and `difference of ndcg@10`, its `/low` and
    `/high` against the way named in `compared_with`: paired bootstrap over users, 1,000 draws. Vectors are those of the
    `text` and those `joined` with behaviour (`embeddings.collaborative`). Gates are trained, and
    fixed ones chosen, on the `MOMENTS` horizons before each cutoff, those of the hypotheses on the last three. Events
    are taken as they were known at the end of the data.

    Raises
    ------
    ValueError
        If the data have no horizon with users to foretell.
    """
    started = time.perf_counter()
    ground = load_ground(settings, horizon_days)
    print(
        f"Cutoffs: {', '.join(f'{cutoff:%Y-%m-%d}' for cutoff in ground.cutoffs)}; {horizon_days:g} days each",
        flush=True,
    )
    lines: list[Line] = []
    for mode in ("repeats", "new") if ground.repeats_allowed else ("new",):
        for kind in KINDS:
            gates, ways, contrasts, people, both, said = [], [], [], [], [], []
            for back in ground.backs:
                repeats = mode == "repeats"
                values, test, told = compare_gates(ground, kind, back, repeats=repeats)
                gates.append(values)
                ways.append(try_hypotheses(ground, kind, back, repeats=repeats))
                if kind == "joined":
                    contrasts.append(try_contrast(ground, kind, back, repeats=repeats))
                people.append(test.user.astype(np.int64))
                both.append(np.isnan(test.only))
                said.append(told)
            name = f"{kind}/{mode}"
            found = compare(name, gates, people, lambda way: FIXED)
            two_windows = [
                {way: value[part] for way, value in values.items()} for values, part in zip(gates, both, strict=True)
            ]
            found += compare(
                f"{name}/both windows",
                two_windows,
                [own[part] for own, part in zip(people, both, strict=True)],
                lambda way: FIXED,
            )
            found += compare(name, ways, people, lambda way: "as it is: " + way.partition(": ")[2])
            if contrasts:
                with_plain = [
                    {**own, PLAIN: test} for own, test in zip(contrasts, [way[PLAIN] for way in ways], strict=True)
                ]
                against = compare(
                    name, with_plain, people, lambda way: "scaled directions" if "contrast" in way else PLAIN
                )
                found += [line for line in against if not line["subject"].endswith(PLAIN)]
            found += [row(f"gate, {key}", name, float(np.mean([told[key] for told in said])), "1") for key in said[0]]
            found.append(row("users", name, float(np.mean([len(own) for own in people])), "users"))
            found.append(row("users", f"{name}/both windows", float(np.mean([part.sum() for part in both])), "users"))
            print_table(f"{settings.source}, {name}", found)
            lines += found
    lines.append(row("seconds", "total", round(time.perf_counter() - started, 1), "s"))
    print(f"Written: {write_report('bench-fusion', lines, settings)}")
    return lines


def compare(name: str, values: Sequence[Values], people: Sequence[NDArray[np.int64]], against: Any) -> list[Line]:
    """Return the mean of each way and its paired difference from the way that `against(way)` names."""
    ways = list(values[0])
    bootstrap = Bootstrap(people)
    mean, drawn = bootstrap.means([np.stack([part[way] for way in ways], axis=1) for part in values])
    place: Mapping[str, int] = {way: number for number, way in enumerate(ways)}
    lines = []
    for number, way in enumerate(ways):
        lines.append(row("ndcg@10", f"{name}/{way}", float(mean[number]), "1"))
        other = against(way)
        if other == way:
            continue
        base = place[other]
        found = estimate(mean[number] - mean[base], drawn[:, number] - drawn[:, base])
        for part, value in (("", found.value), ("/low", found.low), ("/high", found.high)):
            lines.append(row("difference of ndcg@10", f"{name}/{way}{part}", value, "1", other))
    return lines
