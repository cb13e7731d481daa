"""Run as a program: the stages of a night up to the vectors of the windows, without publishing anything.

    python -m tideline.evaluation.interests AS_OF

The settings come from the environment, as those of a task do.
"""

from __future__ import annotations

import sys

from tideline.evaluation.publications import OPENED_BY
from tideline.walk import walk
from tideline.window import parse_instant, window_ending


def main(as_of: str) -> None:
    """Walk a night to its vectors; gates are left out, nobody else reads the result."""
    walk(window_ending("nightly", parse_instant(as_of)), OPENED_BY, last="fuse_interests", gates=False)


if __name__ == "__main__":
    main(sys.argv[1])
