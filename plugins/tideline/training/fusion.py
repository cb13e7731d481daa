"""What joins and fuses: the behaviour space and the gate of a version, and interests as they were at past cutoffs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from embeddings.fusion.anew import learn_interests
from embeddings.fusion.from_run import train_gate
from embeddings.fusion.learned import Gate, GateError, load_gate
from embeddings.fusion.past import Spans
from embeddings.settings import Settings
from embeddings.space_from_run import train_space
from tideline.ranking.learned import Interests, Past
from tideline.run import Run

SPACE, GATE = "space", "gate.safetensors"


@dataclass(frozen=True)
class Fusion:
    """A space and perhaps a gate, written into the folder of a version."""

    gate: Gate | float
    """The fixed gate of the settings where none was learned, or none that is better."""
    spans: Spans
    card: dict[str, Any]
    """`text_model`; `items` and `users` of the space; of the gate its `validation`, or the `note` why there is none."""

    def interests_of(self, past: Past) -> Interests:
        """Return the vectors that a night at the past's instant would have had, its space learned from what was known.

        The version's own space has seen what came after a past cutoff; cosines do not depend on the frame.
        """
        learned = learn_interests(
            past.user, past.item, past.age, past.weight, past.vectors, self.spans, self.gate, past.rows
        )
        return Interests(*learned)


def learn_fusion(run: Run, settings: Settings, folder: Path) -> Fusion:
    """Learn space and gate from a run and write `space/` and `gate.safetensors` with its card to `folder`.

    The gate is kept only if it is better than the best fixed one on the newest days, which it was not trained on.
    """
    space = train_space(run.tables, run.vectors, run.window.as_of, folder / SPACE)
    gate, card = _learn_gate(run.tables, run.vectors, run.window.as_of, folder / GATE)
    own = pq.read_table(run.tables / "run_settings.parquet").to_pylist()[0]
    names = ("long_window", "short_window", "long_half_life", "short_half_life")
    spans = Spans(*(own[f"{name}_days"] for name in names))
    told = {"text_model": space["model"], "space": {name: space[name] for name in ("items", "users")}, "gate": card}
    return Fusion(gate or settings.fusion_gate, spans, told)


def _learn_gate(tables: Path, vectors: Path, as_of: datetime, file: Path) -> tuple[Gate | None, dict[str, Any]]:
    try:
        validation = train_gate(tables, vectors, as_of, file)["validation"]
    except GateError as error:
        return None, {"note": str(error)}
    if validation["learned"] > validation["best_fixed"]:
        return load_gate(file), {"validation": validation}
    for written in (file, file.with_suffix(".json")):
        written.unlink()
    return None, {"note": "no better than the best fixed gate on the newest days", "validation": validation}
