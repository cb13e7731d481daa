"""The texts of one run become vectors, in one process: plan, every shard in turn, collect."""

from __future__ import annotations

from pathlib import Path

from embeddings.collect import Counts, collect_vectors
from embeddings.plan import plan_texts
from embeddings.settings import Settings
from embeddings.shard import encode_shard


def embed_run(items: Path, event_texts: Path, out: Path, settings: Settings) -> Counts:
    """Write `item_vectors.parquet` and `event_vectors.parquet` below `out`: rows with a vector only, in their order.

    See `plan.plan_texts` for the parameters, `collect.collect_vectors` for what is returned. A run that was killed goes
    on with the shard it was in. Loads no model where every text has its vector.
    """
    plan = plan_texts(items, event_texts, out, settings)
    for shard in plan.shards:
        encode_shard(out, shard.name, settings)
    return collect_vectors(out, settings)
