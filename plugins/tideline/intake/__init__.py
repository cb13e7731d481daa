"""Landing files become immutable batches of the lake; what breaks a rule goes to the quarantine."""

from __future__ import annotations

from tideline.intake.accounts import LostRowsError, StagingError
from tideline.intake.errors import LandingError
from tideline.intake.fetch import fetch_movielens_1m
from tideline.intake.lake import lake_files, lake_rows, list_batches
from tideline.intake.process import take_in
from tideline.intake.quarantine import QuarantineError, Selection, discard, find_rows, overview
from tideline.intake.release import release

__all__ = [
    "LandingError",
    "LostRowsError",
    "QuarantineError",
    "Selection",
    "StagingError",
    "discard",
    "fetch_movielens_1m",
    "find_rows",
    "lake_files",
    "lake_rows",
    "list_batches",
    "overview",
    "release",
    "take_in",
]
