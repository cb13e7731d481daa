"""Run as a program: the stages of a night up to the vectors of the windows, without publishing anything.

    python -m tideline.evaluation.interests AS_OF

The settings come from the environment, as those of a task do.
"""

from __future__ import annotations

import sys

from tideline import stages
from tideline.evaluation.publications import OPENED_BY
from tideline.window import parse_instant, window_ending


def main(as_of: str) -> None:
    """Open a run and walk its first stages; gates are left out, nobody else reads the result."""
    opened = stages.open_run(window_ending("nightly", parse_instant(as_of)), OPENED_BY)
    stages.take_in(opened)
    stages.build_behaviour(opened)
    for shard in stages.plan_texts(opened):
        stages.embed_shard(opened, shard)
    stages.collect_vectors(opened)
    stages.join_vectors(opened)
    stages.fuse_interests(opened)


if __name__ == "__main__":
    main(sys.argv[1])
