"""The learned gate: trained on a run's tables, judged, refused, and used for window vectors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from embeddings.fusion.from_run import train_gate
from embeddings.fusion.learned import GateError, Network, load_gate
from embeddings.fusion.signals import SIGNALS
from embeddings.model import describe_model
from embeddings.settings import Settings, load_settings
from embeddings.vector_files import to_column, vector_schema, writing
from embeddings.windows import interest_vectors

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
USERS, ITEMS, GROUPS, SHORT_DAYS = 60, 40, 8, 7
Event = tuple[int, int, float]
"""User, item, days before `AS_OF`."""


def make_events(seed: int = 0) -> list[Event]:
    """Users buy weekly: half of them always from one group of items, the others from a new one each week."""
    random = np.random.default_rng(seed)
    events = []
    for user in range(USERS):
        for week in range(11):
            group = user % GROUPS if user < USERS // 2 else (user + week // 2) % GROUPS
            for item in random.choice(ITEMS // GROUPS, 2, replace=False):
                events.append((user, group * (ITEMS // GROUPS) + int(item), week * 7 + float(random.uniform(0.5, 6.5))))
    return events


def write_run(folder: Path, settings: Settings, events: list[Event]) -> None:
    """Write tables and vectors as a run of `AS_OF` has them; items of a group have like vectors."""
    model = describe_model(settings)
    tables, vectors = folder / "tables", folder / "vectors"
    tables.mkdir(parents=True)
    random = np.random.default_rng(9)
    groups = random.standard_normal((GROUPS, model.dimension))
    matrix = np.repeat(groups, ITEMS // GROUPS, axis=0) + 0.3 * random.standard_normal((ITEMS, model.dimension))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    for file, column, rows in (("item_vectors", "item_id", ITEMS), ("event_vectors", "event_id", 0)):
        schema = vector_schema(column, model.dimension, model.model_id)
        ids = pa.array([f"i{row:02}" for row in range(rows)], pa.string())
        with writing(vectors / f"{file}.parquet", schema) as writer:
            writer.write_table(pa.table([ids, to_column(matrix[:rows])], schema=schema))
    moments = [AS_OF - timedelta(days=age) for _, _, age in events]
    table = pa.table(
        {
            "user_id": [f"u{user:02}" for user, _, _ in events],
            "item_id": [f"i{item:02}" for _, item, _ in events],
            "event_id": [f"e{row:05}" for row in range(len(events))],
            "event_at": pa.array([moment.replace(tzinfo=None) for moment in moments], pa.timestamp("us")),
            "weight": pa.array([Decimal(1)] * len(events), pa.decimal128(18, 6)),
            "decay_weight": pa.array([Decimal(1)] * len(events), pa.decimal128(18, 9)),
        }
    )
    recent = pa.array([age <= SHORT_DAYS for _, _, age in events])
    old = pa.array([age > SHORT_DAYS for _, _, age in events])
    pq.write_table(table.filter(old), tables / "long_window_behaviour.parquet")
    pq.write_table(table.filter(recent), tables / "short_window_behaviour.parquet")
    users = table.group_by("user_id").aggregate([("event_at", "max")]).rename_columns(["user_id", "last_event_at"])
    pq.write_table(users, tables / "dim_users.parquet")
    own = {"long_window_days": 365.0, "short_window_days": float(SHORT_DAYS), "repeats_allowed": True}
    own |= {"long_half_life_days": None, "short_half_life_days": None}
    pq.write_table(pa.Table.from_pylist([own]), tables / "run_settings.parquet")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    write_run(folder, load_settings(home=folder), make_events())
    train_gate(folder / "tables", folder / "vectors", AS_OF, folder / "gate.safetensors")
    return folder


def test_the_card_says_what_was_learned_and_how_well(run: Path) -> None:
    card = json.loads((run / "gate.json").read_text())
    assert card["training_data_end"] == AS_OF.isoformat()
    assert card["model"] == describe_model(load_settings(home=run)).model_id
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
    long = pq.read_table(tables / "long_window_behaviour.parquet")
    pq.write_table(long.take(random.permutation(len(long))), tables / "long_window_behaviour.parquet")
    train_gate(tables, tmp_path / "vectors", AS_OF, tmp_path / "gate.safetensors")
    assert (tmp_path / "gate.safetensors").read_bytes() == (run / "gate.safetensors").read_bytes()


def test_each_user_gets_a_gate_of_his_own(run: Path) -> None:
    settings = load_settings(home=run)
    events = [event for event in make_events() if event[0] != 0 or event[2] > SHORT_DAYS]
    events = [event for event in events if event[0] != 1 or event[2] <= SHORT_DAYS]
    results = []
    for block in (100, 7):
        folder = run / f"used-{block}"
        write_run(folder, settings, events)
        gate = run / "gate.safetensors"
        interest_vectors(folder / "tables", folder / "vectors", AS_OF, settings, block, gate_file=gate)
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
