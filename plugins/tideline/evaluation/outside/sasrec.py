"""SASRec from RecTools (Kang and McAuley, ICDM 2018; loss of gSASRec, Petrov and Macdonald, RecSys 2023), run by the interpreter of the peers' own environment.

It cannot share an environment with Airflow, imports nothing of Tideline and exchanges Parquet only:

    python sasrec.py FOLDER

`FOLDER` has `interactions.parquet` (`user`, `item`: numbers; `age`: days before the cutoff), `users.parquet` (`user`) and `settings.json`
(`epochs`, `factors`, `k`); it gets `repeats.parquet` and `new.parquet` (`user`, `rank`, `item`), the latter without what the user has had.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path

SEED = 17
LONGEST = 100
"""Events of a user that the model reads, the newest."""


def main(folder: Path) -> None:
    """Fit on the interactions and write the lists of the users."""
    import pandas as pd
    import torch
    from pytorch_lightning import Trainer, seed_everything
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    settings = json.loads((folder / "settings.json").read_text())
    seed_everything(SEED, verbose=False)
    torch.set_num_threads(2)
    events = pd.read_parquet(folder / "interactions.parquet")
    interactions = pd.DataFrame(
        {
            Columns.User: events["user"],
            Columns.Item: events["item"],
            Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp("2100-01-01") - pd.to_timedelta(events["age"], unit="D"),
        }
    )
    dataset = Dataset.construct(interactions)
    model = SASRecModel(
        n_factors=settings["factors"],
        n_blocks=2,
        n_heads=2,
        session_max_len=LONGEST,
        lr=0.001,
        batch_size=128,
        epochs=settings["epochs"],
        loss="gBCE",
        n_negatives=128,
        verbose=0,
        deterministic=True,
        get_trainer_func=_trainer(Trainer, settings["epochs"]),
    )
    model.fit(dataset)
    users = pd.read_parquet(folder / "users.parquet")["user"].to_numpy()
    for mode, seen_are_left_out in (("repeats", False), ("new", True)):
        found = model.recommend(
            users, dataset, k=settings["k"], filter_viewed=seen_are_left_out, on_unsupported_targets="ignore"
        )
        found = found.rename(columns={Columns.User: "user", Columns.Item: "item", Columns.Rank: "rank"})
        found[["user", "rank", "item"]].to_parquet(folder / f"{mode}.parquet", index=False)


def _trainer(trainer_class, epochs):  # type: ignore[no-untyped-def]
    def make():  # type: ignore[no-untyped-def]
        return trainer_class(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            deterministic=True,
        )

    return make


if __name__ == "__main__":
    main(Path(sys.argv[1]))
