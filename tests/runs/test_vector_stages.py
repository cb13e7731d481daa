"""The stages that make a run's vectors, with a trained version and without."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from weekly_shop import AS_OF, make_events, write_run

from embeddings.fusion.from_run import train_gate
from embeddings.identity import vectors_id
from embeddings.settings import Settings, load_settings
from embeddings.space_from_run import train_space
from tideline import stages
from tideline.run import Run, load_run, name_run
from tideline.window import Window

VERSION = "trained-0123456789ab"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    return load_settings()


def night(settings: Settings, model: str | None) -> Run:
    """A night whose vectors of text are there."""
    window = Window("nightly", AS_OF - timedelta(days=1), AS_OF, AS_OF)
    run = Run(name_run(window, "test"), window, settings.root, settings.source, model=model)
    write_run(run.path, settings, make_events())
    run.save()
    return run


def train(settings: Settings, run: Run) -> Path:
    """Store a version with a space and a gate, learned from the run's own events."""
    version = settings.root / "models" / VERSION
    train_space(run.tables, run.vectors, AS_OF, version / "space")
    train_gate(run.tables, run.vectors, AS_OF, version / "gate.safetensors")
    return version


def models(run: Run) -> set[str]:
    return set(pq.read_table(run.vectors / "user_vectors.parquet")["model"].to_pylist())


def test_a_run_keeps_its_version(settings: Settings) -> None:
    run = night(settings, VERSION)
    assert load_run(run.run_id, settings) == run
    file = run.path / "run.json"
    values = json.loads(file.read_text())
    del values["model"]  # a run of before there were versions
    file.write_text(json.dumps(values))
    assert load_run(run.run_id, settings) == replace(run, model=None)


def test_without_a_version_the_vectors_are_of_text_and_the_gate_is_fixed(settings: Settings) -> None:
    run = night(settings, None)
    assert stages.join_vectors(run.run_id) == {"model": vectors_id(settings, None)}
    assert stages.fuse_interests(run.run_id)["gate"] == "fixed"
    assert models(run) == {vectors_id(settings, None)}


def test_a_version_without_a_space_leaves_vectors_of_text(settings: Settings) -> None:
    run = night(settings, VERSION)
    assert stages.join_vectors(run.run_id) == {"model": vectors_id(settings, None)}
    assert stages.fuse_interests(run.run_id)["gate"] == "fixed"
    assert models(run) == {vectors_id(settings, None)}


def test_a_version_joins_the_vectors_and_brings_its_gate(settings: Settings) -> None:
    run = night(settings, VERSION)
    train(settings, run)
    assert stages.join_vectors(run.run_id)["model"] == vectors_id(settings, VERSION)
    assert stages.fuse_interests(run.run_id)["gate"] == "learned"
    assert models(run) == {vectors_id(settings, VERSION)}


def test_a_gate_that_cannot_serve_gives_way_to_the_fixed_one(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    run = night(settings, VERSION)
    version = train(settings, run)
    stages.join_vectors(run.run_id)
    card = json.loads((version / "gate.json").read_text())
    (version / "gate.json").write_text(json.dumps({**card, "signals": ["mood"]}))
    assert stages.fuse_interests(run.run_id)["gate"] == "fixed"
    assert "other signals" in caplog.text
    for name in ("gate.json", "gate.safetensors"):
        (version / name).unlink()
    assert stages.fuse_interests(run.run_id)["gate"] == "fixed"


def test_an_hour_takes_the_items_of_its_base(settings: Settings) -> None:
    base = night(settings, VERSION)
    train(settings, base)
    stages.join_vectors(base.run_id)
    window = Window("hourly", AS_OF - timedelta(hours=1), AS_OF, AS_OF)
    hour = replace(base, run_id=name_run(window, "test"), window=window, base=base.run_id)
    write_run(hour.path, settings, make_events()[:22], texts=3)
    hour.save()
    assert stages.join_vectors(hour.run_id)["texts"] == 3
    stages.fuse_interests(hour.run_id)
    assert models(hour) == {vectors_id(settings, VERSION)}
    files = [run.vectors / "item_vectors.parquet" for run in (base, hour)]
    assert files[0].read_bytes() == files[1].read_bytes()
