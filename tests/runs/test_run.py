"""A run has a folder and a name of its own, and the same inputs give the same generation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from embeddings.settings import Settings
from tideline.run import Run, load_run, name_generation, name_run
from tideline.window import window_ending

WINDOW = window_ending("nightly", datetime(2000, 11, 23, tzinfo=UTC))


def test_a_run_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    run = Run(
        name_run(WINDOW, "a"), WINDOW, settings.root, "canonical", vars={"top_k": 5}, batches=("b1", "b2"), base="x"
    )
    run.save()
    assert load_run(run.run_id, settings) == run


def test_two_dag_runs_of_one_window_have_folders_of_their_own() -> None:
    assert name_run(WINDOW, "scheduled") != name_run(WINDOW, "manual")
    assert name_run(WINDOW, "manual") == name_run(WINDOW, "manual")


@pytest.mark.parametrize("run_id", ["../../etc", "nightly-20001123T000000Z-../../x", ""])
def test_a_run_id_is_no_path(run_id: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no run id"):
        load_run(run_id, Settings(home=tmp_path))


def test_a_run_that_was_never_opened_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="rerun its DAG run from the first task"):
        load_run(name_run(WINDOW, "a"), Settings(home=tmp_path))


def test_a_generation_is_named_by_its_inputs(tmp_path: Path) -> None:
    run = Run(name_run(WINDOW, "a"), WINDOW, tmp_path, "canonical", batches=("b1",), model_version="m")
    name = name_generation(run, {})
    assert name == name_generation(replace(run, run_id=name_run(WINDOW, "b")), {})
    others = [
        name_generation(replace(run, batches=("b1", "b2")), {}),
        name_generation(replace(run, vars={"top_k": 3}), {}),
        name_generation(replace(run, model_version="n"), {}),
        name_generation(run, {"fusion_gate": 0.4}),
    ]
    assert len({name, *others}) == 5
