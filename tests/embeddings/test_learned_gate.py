"""The learned gate: trained on a run's tables, judged, refused, and used for window vectors."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from weekly_shop import AS_OF, ITEMS, SHORT_DAYS, USERS, Event, make_events, write_run

from embeddings.collaborative import learn_space
from embeddings.fusion.from_run import train_gate
from embeddings.fusion.learned import GateError, Network, load_gate
from embeddings.fusion.signals import SIGNALS
from embeddings.identity import vectors_id
from embeddings.join import join_vectors
from embeddings.settings import Settings, load_settings
from embeddings.space_files import save_space
from embeddings.windows import interest_vectors

VERSION = "trained-0123456789ab"


def write_joined(folder: Path, settings: Settings, events: list[Event]) -> None:
    """Write a run with joined vectors, whose space is learned from its own events."""
    text = write_run(folder, settings, events)
    user, item, _ = np.array(events).T
    ids = pa.array([f"i{row:02}" for row in range(len(text))])
    space = learn_space(user.astype(int), item.astype(int), text)
    save_space(folder / "space", space, ids, {"model": vectors_id(settings, None)})
    join_vectors(
        folder / "tables",
        folder / "vectors",
        settings,
        model_id=vectors_id(settings, VERSION),
        space_folder=folder / "space",
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    write_run(folder, load_settings(home=folder), make_events())
    train_gate(folder / "tables", folder / "vectors", AS_OF, folder / "gate.safetensors")
    return folder


def test_the_card_says_what_was_learned_and_how_well(run: Path) -> None:
    card = json.loads((run / "gate.json").read_text())
    assert card["training_data_end"] == AS_OF.isoformat()
    assert card["model"] == f"{vectors_id(load_settings(home=run), None)}+behaviour"
    assert card["signals"] == list(SIGNALS)
    assert sum(card["examples"]) > 300
    validation = card["validation"]
    assert {"users", "fixed_gate", "learned", "best_fixed", "long_only", "short_only"} == set(validation)
    assert all(0 <= validation[way] <= 1 for way in ("learned", "best_fixed", "long_only", "short_only"))
    assert validation["users"] == card["examples"][0]


def test_training_again_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    train_gate(run / "tables", run / "vectors", AS_OF, tmp_path / "gate.safetensors")
    assert (tmp_path / "gate.safetensors").read_bytes() == (run / "gate.safetensors").read_bytes()
    assert torch.get_num_threads() == threads


def test_later_events_and_the_order_of_rows_change_nothing(run: Path, tmp_path: Path) -> None:
    events = make_events()
    random = np.random.default_rng(4)
    later = [
        (int(random.integers(USERS)), int(random.integers(ITEMS)), -float(random.uniform(0, 5))) for _ in range(99)
    ]
    write_run(tmp_path, load_settings(home=tmp_path), events + later)
    tables = tmp_path / "tables"
    known = pq.read_table(tables / "user_events.parquet")
    pq.write_table(known.take(random.permutation(len(known))), tables / "user_events.parquet")
    train_gate(tables, tmp_path / "vectors", AS_OF, tmp_path / "gate.safetensors")
    assert (tmp_path / "gate.safetensors").read_bytes() == (run / "gate.safetensors").read_bytes()


def test_each_user_gets_a_gate_of_his_own(run: Path) -> None:
    settings = load_settings(home=run)
    events = [event for event in make_events() if event[0] != 0 or event[2] > SHORT_DAYS]
    events = [event for event in events if event[0] != 1 or event[2] <= SHORT_DAYS]
    results = []
    for block in (100, 7):
        folder = run / f"used-{block}"
        write_joined(folder, settings, events)
        gate, model_id = run / "gate.safetensors", vectors_id(settings, VERSION)
        interest_vectors(
            folder / "tables", folder / "vectors", AS_OF, settings, block, model_id=model_id, gate_file=gate
        )
        results.append(pq.read_table(folder / "vectors" / "user_vectors.parquet").to_pylist())
    assert results[0] == results[1]
    gates = {row["user_id"]: row["gate"] for row in results[0]}
    assert gates["u00"] == 1
    assert gates["u01"] == 0
    assert all(0 <= gate <= 1 for gate in gates.values())
    constant = [gate for user, gate in gates.items() if 2 <= int(user[1:]) < USERS // 2]
    changing = [gate for user, gate in gates.items() if int(user[1:]) >= USERS // 2]
    assert np.mean(constant) > np.mean(changing) + 0.1
    for row in results[0]:
        weighted = row["gate"] * np.array(row["long"] or 0) + (1 - row["gate"]) * np.array(row["short"] or 0)
        assert np.allclose(np.array(row["fused"]) * row["fused_norm"], weighted, atol=1e-6)


def test_a_gate_that_knows_later_events_is_refused(run: Path) -> None:
    with pytest.raises(GateError, match="train one on earlier events"):
        interest_vectors(
            run / "tables",
            run / "vectors",
            AS_OF - timedelta(hours=1),
            load_settings(home=run),
            gate_file=run / "gate.safetensors",
        )


def test_a_gate_of_other_vectors_is_refused(run: Path) -> None:
    with pytest.raises(GateError, match="train it again"):
        load_gate(run / "gate.safetensors").check(AS_OF, "another@model/3")


def test_weights_without_their_card_are_refused(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "gate.safetensors"
    file.write_bytes((run / "gate.safetensors").read_bytes())
    with pytest.raises(GateError, match="missing"):
        load_gate(file)
    card = json.loads((run / "gate.json").read_text())
    (tmp_path / "gate.json").write_text(json.dumps({**card, "sha256": "0"}))
    with pytest.raises(GateError, match="do not belong together"):
        load_gate(file)
    (tmp_path / "gate.json").write_text(json.dumps({**card, "signals": ["mood"]}))
    with pytest.raises(GateError, match="other signals"):
        load_gate(file)


def test_too_few_examples_train_no_gate(tmp_path: Path) -> None:
    write_run(tmp_path, load_settings(home=tmp_path), [event for event in make_events() if event[0] < 2])
    with pytest.raises(GateError, match="fusion_gate"):
        train_gate(tmp_path / "tables", tmp_path / "vectors", AS_OF, tmp_path / "gate.safetensors")
    assert not (tmp_path / "gate.safetensors").exists()


@hypothesis_settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 30), st.floats(0, 100))
def test_the_forward_pass_is_that_of_torch(seed: int, rows: int, size: float) -> None:
    random = np.random.default_rng(seed)
    shapes = {"mean": (8,), "scale": (8,), "weight": (5, 8), "bias": (5,), "out_weight": (5,), "out_bias": (1,)}
    made = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    made["scale"] = np.abs(made["scale"]) + np.float32(0.1)
    signals = (size * random.standard_normal((rows, 8))).astype(np.float32)
    gates = Network(**made).gates(signals)
    t = {name: torch.from_numpy(array) for name, array in made.items()}
    hidden = torch.tanh((torch.from_numpy(signals) - t["mean"]) / t["scale"] @ t["weight"].T + t["bias"])
    assert np.allclose(gates, torch.sigmoid(hidden @ t["out_weight"] + t["out_bias"]).numpy(), atol=1e-4)
    assert ((gates >= 0) & (gates <= 1)).all()
