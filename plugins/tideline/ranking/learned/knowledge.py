"""What a night learns from everybody, so that it can be asked about single users then and in the hours after it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embeddings.failpoints import failpoint
from tideline.ranking.learned.past import Past
from tideline.ranking.learned.sources import Lesson, learn_sources
from tideline.ranking.learned.tables import Columns, count_items

FORMAT = 2
CARD = "knowledge.json"


@dataclass(frozen=True)
class Knowledge:
    """Lessons of the sources and columns of the items; nothing in it is about one user but TIFU-kNN's pool."""

    lessons: Mapping[str, Lesson]
    item: Columns
    """Columns `[items]` by name."""

    @property
    def items(self) -> int:
        """How many items it knows."""
        return len(self.item["item_ever"])


def learn(past: Past) -> Knowledge:
    """Let every source learn from everybody's past, and count the items."""
    return Knowledge(learn_sources(past), count_items(past))


def save_knowledge(knowledge: Knowledge, folder: Path) -> None:
    """Write one `.npy` for each array, three for a sparse matrix, and a card; the folder appears when it is whole."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    shapes: dict[str, dict[str, Any]] = {}
    for source, lesson in [*knowledge.lessons.items(), ("items", knowledge.item)]:
        shapes[source] = {}
        for name, value in lesson.items():
            sparse = not isinstance(value, np.ndarray)
            shapes[source][name] = list(value.shape) if sparse else None
            arrays = {f"{source}.{name}": value}
            if sparse:
                arrays = {f"{source}.{name}.{field}": getattr(value, field) for field in ("data", "indices", "indptr")}
            for file, array in arrays.items():
                np.save(part / f"{file}.npy", array, allow_pickle=False)
    (part / CARD).write_text(json.dumps({"format": FORMAT, "sources": shapes}, indent=1))
    failpoint("knowledge.save.before")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    failpoint("knowledge.save.after")


def load_knowledge(folder: Path) -> Knowledge:
    """Read what `save_knowledge` wrote; large arrays are mapped, so that only what is asked for is read.

    Raises
    ------
    ValueError
        If it was written in another format.
    """
    card = json.loads((folder / CARD).read_text())
    if card["format"] != FORMAT:
        raise ValueError(f"{folder} has format {card['format']}, this code reads {FORMAT}: run the night again")
    lessons = {
        source: {name: _load(folder, f"{source}.{name}", shape) for name, shape in shapes.items()}
        for source, shapes in card["sources"].items()
    }
    return Knowledge({source: lesson for source, lesson in lessons.items() if source != "items"}, lessons["items"])


def _load(folder: Path, name: str, shape: list[int] | None) -> Any:
    def mapped(file: str) -> Any:
        return np.load(folder / f"{file}.npy", mmap_mode="r", allow_pickle=False)

    if shape is None:
        return mapped(name)
    from scipy.sparse import csr_array

    # An hour asks about a few users: of the maps of items it reads the rows of what they have had, and no more.
    return csr_array(tuple(mapped(f"{name}.{field}") for field in ("data", "indices", "indptr")), shape=tuple(shape))
