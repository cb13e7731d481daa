"""Run as a program: the stages of a night up to the vectors of the windows, without publishing anything.

    python -m tideline.evaluation.interests AS_OF

The settings come from the environment, as those of a task do.
"""

from __future__ import annotations

import sys

from tideline import stages
from tideline.evaluation.publications import TOKEN
from tideline.window import parse_instant, window_ending


def main(as_of: str) -> None:
    """Open a run and walk its first stages; gates are left out, nobody else reads the result."""
    opened = stages.open_run(window_ending("nightly", parse_instant(as_of)), TOKEN)
    for stage in (stages.take_in, stages.build_behaviour, stages.embed, stages.fuse_interests):
        stage(opened)


if __name__ == "__main__":
    main(sys.argv[1])
