"""Run as a program: the stages of a night up to the vectors of the windows, without publishing anything.

    python -m tideline.evaluation.interests AS_OF

The settings come from the environment, as those of a task do.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from embeddings.settings import Settings, load_settings
from embeddings.space_from_run import train_space
from tideline.evaluation.publications import OPENED_BY
from tideline.models import Version, save_version
from tideline.run import Run, load_run
from tideline.training.fusion import SPACE
from tideline.walk import walk
from tideline.window import parse_instant, window_ending


def main(as_of: str) -> None:
    """Walk a night to its vectors; gates are left out, nobody else reads the result.

    Its vectors are joined with behaviour by a space of its own, learned from the same events: peers that are tuned on
    these vectors meet joined ones at the cutoffs, where a whole version was trained. Nothing ranks here.
    """
    window = window_ending("nightly", parse_instant(as_of))
    opened = walk(window, OPENED_BY, last="collect_vectors", gates=False)
    settings = load_settings()
    run = load_run(opened, settings)
    replace(run, model=_learn_space(run, settings).name).save()
    walk(window, OPENED_BY, first="join_vectors", last="fuse_interests", gates=False)


def _learn_space(run: Run, settings: Settings) -> Version:
    def learn(folder: Path) -> dict[str, Any]:
        card = train_space(run.tables, run.vectors, run.window.as_of, folder / SPACE)
        return {**card, "trained_until": run.window.as_of.isoformat()}

    return save_version(settings.root, learn)


if __name__ == "__main__":
    main(sys.argv[1])
