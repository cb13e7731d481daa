"""A run's tables become a version, once, and the champion only by the gate; a run pins who may serve it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training.worlds import DAYS, ITEMS, events

from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.space_files import load_space
from embeddings.vector_files import EVENTS_FILE, ITEMS_FILE, vector_schema, writing
from tideline.models import champion_for, list_champions, list_versions, promote, save_version
from tideline.ranking.learned import load
from tideline.run import Run, load_run, name_run
from tideline.serving.retention import MARKER
from tideline.stages import open_run
from tideline.training import train_version
from tideline.window import window_ending

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
USERS = 50


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(source="canonical", home=tmp_path, threads=1)


def training(settings: Settings, as_of: datetime, users: int = USERS) -> Run:
    """A training run with the tables that the warehouse would have exported, no text, and the pinned champion."""
    champion = champion_for(settings.root, as_of)
    window = window_ending("training", as_of)
    run = Run(
        name_run(window, "test"), window, settings.root, "canonical", model=champion.name if champion else None,
        generation=f"{as_of:%Y%m%dT%H%M%SZ}-training-00000000",
    )  # fmt: skip
    run.save()
    run.tables.mkdir(exist_ok=True)
    user, item, age = events(users=users)
    at = np.datetime64(AS_OF.replace(tzinfo=None), "us") - (age * 86400e6).astype("timedelta64[us]")
    known = at < np.datetime64(as_of.replace(tzinfo=None), "us")
    happened = pa.table(
        {
            "user_id": [f"u{number}" for number in user[known]],
            "item_id": [f"i{number}" for number in item[known]],
            "event_id": [f"e{number}" for number in np.flatnonzero(known)],
            "event_at": pa.array(at[known], pa.timestamp("us")),
            "weight": np.ones(int(known.sum())),
        }
    )
    pq.write_table(happened, run.tables / "user_events.parquet")
    for window in ("long_window", "short_window"):
        pq.write_table(happened[:0], run.tables / f"{window}_behaviour.parquet")
    spans = {"long_window": 84.0, "short_window": 14.0, "long_half_life": None, "short_half_life": 7.0}
    own = {f"{name}_days": pa.array([days], pa.float64()) for name, days in spans.items()}
    pq.write_table(pa.table({**own, "repeats_allowed": [True]}), run.tables / "run_settings.parquet")
    for name, column in ((ITEMS_FILE, "item_id"), (EVENTS_FILE, "event_id")):
        with writing(run.vectors / name, vector_schema(column, 8, describe_model(settings).model_id)):
            pass
    pq.write_table(pa.table({"user_id": [f"u{number}" for number in range(users)]}), run.tables / "dim_users.parquet")
    items = {
        "item_id": [f"i{number}" for number in range(ITEMS)],
        "category": [f"c{number % 4}" for number in range(ITEMS)],
        "available_from": pa.nulls(ITEMS, pa.timestamp("us")),
        "is_available": [True] * ITEMS,
        "is_blocked": [False] * ITEMS,
    }
    pq.write_table(pa.table(items), run.tables / "dim_items.parquet")
    return run


def test_a_first_version_becomes_champion_and_holds_what_ranks(home: Settings) -> None:
    run = training(home, AS_OF)
    counts = train_version(run, home)
    [version] = list_versions(home.root)
    assert counts["promoted"] is True and counts["version"] == version.name
    assert champion_for(home.root, AS_OF) == version
    assert champion_for(home.root, AS_OF - timedelta(seconds=1)) is None
    models = load(version.folder / "ranker").models
    assert {mode: model.name for mode, model in models.items()} == {
        mode: card["winner"] for mode, card in version.card["modes"].items()
    }
    assert len(load_space(version.folder / "space").item_id) == ITEMS
    gate = version.card["gate"]
    assert (version.folder / "gate.safetensors").exists() is ("note" not in gate)
    assert version.card["decision"]["reason"] == list_champions(home.root)[0]["reason"] == counts["decision"]
    [figures] = (home.root / "evaluation").glob("training-*.json")
    metrics = {row["metric"] for row in json.loads(figures.read_text())["rows"]}
    assert {"promoted", "held_out_ndcg@10", "held_out_ndcg@10_difference_low", "held_out_lists"} <= metrics
    assert (run.path / MARKER).exists()


def test_a_repeated_training_leaves_one_version_and_one_entry(home: Settings) -> None:
    run = training(home, AS_OF)
    first, retried = train_version(run, home), train_version(run, home)  # a task that was killed at its very end
    assert first == retried
    figures = (home.root / "evaluation" / f"training-{first['version']}.json").read_text()
    again = train_version(training(home, AS_OF), home)
    assert again["version"] == first["version"] and "nothing new to learn from" in str(again["decision"])
    assert len(list_versions(home.root)) == len(list_champions(home.root)) == 1
    assert (home.root / "evaluation" / f"training-{first['version']}.json").read_text() == figures


def test_a_week_later_nothing_has_changed_and_the_champion_stays(home: Settings) -> None:
    first = train_version(training(home, AS_OF - timedelta(days=7)), home)
    second = train_version(training(home, AS_OF), home)
    assert second["version"] != first["version"] and second["promoted"] is False
    champion = champion_for(home.root, AS_OF)
    assert champion is not None and champion.name == first["version"]


def test_a_champion_that_cannot_be_read_any_more_is_replaced(home: Settings) -> None:
    first = train_version(training(home, AS_OF - timedelta(days=7)), home)
    card = home.root / "models" / str(first["version"]) / "ranker" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "format": 0}))
    second = train_version(training(home, AS_OF), home)
    assert second["promoted"] is True and "cannot be used any more" in str(second["decision"])


def test_what_is_trained_for_the_past_does_not_replace_the_present_champion(home: Settings) -> None:
    present = train_version(training(home, AS_OF), home)
    before = train_version(training(home, AS_OF - timedelta(days=7)), home)
    assert before["promoted"] is True
    names = [champion_for(home.root, AS_OF - timedelta(days=days)) for days in (0, 7)]
    assert [version and version.name for version in names] == [present["version"], before["version"]]


def test_with_too_little_data_nothing_is_promoted(home: Settings) -> None:
    counts = train_version(training(home, AS_OF - timedelta(days=DAYS - 3), users=4), home)
    assert counts["promoted"] is False and "too few" in str(counts["decision"])
    assert champion_for(home.root, AS_OF) is None and len(list_versions(home.root)) == 1


def test_a_training_does_not_depend_on_whether_repeats_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    monkeypatch.setenv("TIDELINE_VARS", "{repeats_allowed: false, top_k: 5}")
    for kind, expected in (("training", {"top_k": 5}), ("nightly", {"repeats_allowed": False, "top_k": 5})):
        opened = open_run(window_ending(kind, AS_OF), "test")
        assert load_run(opened, Settings(home=tmp_path)).vars == expected


def version_until(root: Path, at: datetime, text_model: str) -> str:
    def write(folder: Path) -> dict[str, str]:
        (folder / "model.txt").write_text("learned")
        return {"trained_until": at.isoformat(), "text_model": text_model}

    version = save_version(root, write)
    promote(root, version, "better")
    return version.name


def test_a_night_pins_the_champion_and_an_hour_goes_on_with_its_nights(home: Settings) -> None:
    from tideline.pinning import pin
    from tideline.serving import manifest
    from tideline.serving.layer import Layer

    def opened(kind, at: datetime) -> Run:
        window = window_ending(kind, at)
        return Run(name_run(window, "test"), window, home.root, "canonical")

    untrained = pin(opened("nightly", AS_OF), home)
    assert untrained.model is None and not untrained.model_version.startswith("model-")
    model = describe_model(home).model_id
    first = version_until(home.root, AS_OF - timedelta(days=1), model)
    version_until(home.root, AS_OF - timedelta(hours=1), "another text model")
    night = pin(opened("nightly", AS_OF), home)
    assert night.model == first and night.model_version.startswith(f"{first}+")
    assert night.generation != untrained.generation
    assert load_run(night.run_id, home).model == first
    night.tables.mkdir()
    layer = Layer(1, 1, "", "", (), (), {})
    manifest.write_manifest(manifest.describe(night, layer, 1, committed=True, complete=True), home.root)
    # Trained between the night and the hour: the hour's users do not change hands.
    second = version_until(home.root, AS_OF + timedelta(minutes=30), model)
    hour = pin(opened("hourly", AS_OF + timedelta(hours=1)), home)
    assert hour.base == night.run_id and hour.model == first
    assert pin(opened("nightly", AS_OF + timedelta(days=1)), home).model == second
    alone = pin(opened("hourly", AS_OF - timedelta(hours=2)), home)
    assert alone.base is None and alone.model == first
