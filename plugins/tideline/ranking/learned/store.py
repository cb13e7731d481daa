"""A trained ranking on disk: a JSON card and LightGBM's text format; nothing that runs code when it is read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tideline.ranking.learned.model import Model
from tideline.ranking.learned.training import MODES, Plan, Trained

CARD = "card.json"
FORMAT = 1


def save(trained: Trained, folder: Path) -> None:
    """Write `card.json` and `trees-<mode>.txt` for each mode with trees to a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    models = {}
    for mode, model in trained.models.items():
        models[mode] = {name: value for name, value in asdict(model).items() if name != "booster"}
        file = folder / f"trees-{mode}.txt"
        if model.booster:
            file.write_text(model.booster, encoding="utf-8")
        else:
            file.unlink(missing_ok=True)
    content = {
        "format": FORMAT,
        "popular": trained.popular,
        "repeats": trained.repeats,
        "plan": asdict(trained.plan),
        "models": models,
        "card": dict(trained.card),
    }
    (folder / CARD).write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> Trained:
    """Read what `save` wrote.

    Raises
    ------
    ValueError
        If it was written in another format.
    """
    content = json.loads((folder / CARD).read_text(encoding="utf-8"))
    if content["format"] != FORMAT:
        raise ValueError(f"{folder / CARD} has format {content['format']}, this code reads {FORMAT}: train it again")
    models = {}
    for mode in MODES:
        file = folder / f"trees-{mode}.txt"
        fields = content["models"][mode]
        fields["features"] = tuple(fields["features"])
        models[mode] = Model(**fields, booster=file.read_text(encoding="utf-8") if file.exists() else "")
    return Trained(models, content["popular"], content["repeats"], Plan(**content["plan"]), content["card"])
