"""Imports what processes that walk a run need: once, in the process that they are forked from."""

from __future__ import annotations

import importlib
import warnings

NAMES = (
    "dbt.adapters.duckdb",
    "dbt.cli.main",
    "dbt.task.build",
    "duckdb",
    "embeddings.encoder",
    "embeddings.join",
    "embeddings.store",
    "implicit.nearest_neighbours",
    "lancedb",
    "lightgbm",
    "pyarrow.dataset",
    "scipy.sparse",
    "tideline.faults.walk",
    "tideline.intake",
    "tideline.ranking.stage",
    "tideline.serving.publisher",
    "tideline.warehouse",
    "tokenizers",
)
for name in NAMES:
    importlib.import_module(name)
# LanceDB starts its threads again in a child, and warns of threads that were busy when it was forked: here are none.
warnings.filterwarnings("ignore", "lancedb fork support", RuntimeWarning)
