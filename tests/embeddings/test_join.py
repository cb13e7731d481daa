"""A run's vectors of text joined with behaviour: a night, an hour, a run without a version, and past moments."""

from __future__ import annotations

import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from weekly_shop import AS_OF, ITEMS, SHORT_DAYS, USERS, Event, make_events, write_run

from embeddings.collaborative import learn_space
from embeddings.fusion.anew import learn_interests
from embeddings.fusion.from_run import train_gate
from embeddings.fusion.learned import GateError, load_gate
from embeddings.fusion.past import Spans
from embeddings.held import read_run
from embeddings.identity import vectors_id
from embeddings.join import join_vectors
from embeddings.settings import Settings
from embeddings.space_files import SpaceError, save_space
from embeddings.space_from_run import train_space
from embeddings.vector_files import VectorFile, text_file
from embeddings.windows import interest_vectors

VERSION = "trained-0123456789ab"
SPANS = Spans(365.0, float(SHORT_DAYS), None, 2.0)


def write_space(
    folder: Path, settings: Settings, events: list[Event], text: np.ndarray, model: str | None = None
) -> None:
    """Learn a space from events of the shop; text are the vectors of its items."""
    user, item, _ = np.array(events).T
    space = learn_space(user.astype(int), item.astype(int), text)
    ids = pa.array([f"i{row:02}" for row in range(len(text))])
    save_space(folder, space, ids, {"model": model or vectors_id(settings, None)})


def rows(file: Path, key: str) -> tuple[list[str], np.ndarray]:
    opened = VectorFile(file, key)
    return opened.ids.to_pylist(), opened.take(np.arange(len(opened.ids)))


@pytest.fixture
def run(tmp_path: Path, settings: Settings) -> Path:
    """A night with event texts, an item without text and one that nobody had; and a space of its own events."""
    folder = tmp_path / "night"
    text = write_run(folder, settings, make_events(), texts=5, without_text=(0,), half_life=2.0)
    write_space(folder / "space", settings, make_events(), text)
    return folder


def join(folder: Path, settings: Settings, **given: object) -> dict[str, int | float | str]:
    arguments = {"model_id": vectors_id(settings, VERSION), "space_folder": folder / "space", **given}
    return join_vectors(folder / "tables", folder / "vectors", settings, **arguments)  # type: ignore[arg-type]


def test_a_night_gets_joined_vectors_and_keeps_those_of_text_beside(run: Path, settings: Settings) -> None:
    vectors = run / "vectors"
    before = (vectors / "item_vectors.parquet").read_bytes()
    counts = join(run, settings)
    ids, joined = rows(vectors / "item_vectors.parquet", "item_id")
    # Item 0 has behaviour without text, the last two items text without behaviour.
    assert ids == [f"i{row:02}" for row in range(ITEMS + 2)]
    assert counts["items"] == ITEMS + 2 and counts["texts"] == 5 and counts["items_new"] == 0
    assert joined.shape[1] == 256 + 384
    assert np.allclose(np.linalg.norm(joined, axis=1), 1, atol=1e-5)
    assert not joined[0, 256:].any()
    model = vectors_id(settings, VERSION)
    table = pq.read_table(vectors / "item_vectors.parquet")
    assert table["model"].unique().to_pylist() == [model] and table.schema.metadata[b"model"].decode() == model
    _, texts = rows(vectors / "event_vectors.parquet", "event_id")
    assert texts.shape == (5, 640) and np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert text_file(vectors, "item_vectors.parquet").read_bytes() == before


def test_a_repeated_stage_writes_the_same(run: Path, settings: Settings) -> None:
    files = [run / "vectors" / name for name in ("item_vectors.parquet", "event_vectors.parquet")]
    originals = [file.read_bytes() for file in files]
    join(run, settings)
    first = [file.read_bytes() for file in files]
    join(run, settings)
    assert [file.read_bytes() for file in files] == first
    # Killed between putting the originals aside and writing; and collect_vectors cleared, which writes text again.
    files[0].unlink()
    files[1].write_bytes(originals[1])
    join(run, settings)
    assert [file.read_bytes() for file in files] == first


def test_a_run_without_a_version_keeps_its_vectors(run: Path, settings: Settings) -> None:
    file = run / "vectors" / "item_vectors.parquet"
    before = file.read_bytes()
    counts = join(run, settings, model_id=vectors_id(settings, None), space_folder=None)
    assert counts == {"model": vectors_id(settings, None)}
    assert file.read_bytes() == before and text_file(run / "vectors", file.name) == file


def test_an_hour_has_the_items_of_its_base_and_its_own_texts(run: Path, tmp_path: Path, settings: Settings) -> None:
    hour = tmp_path / "hour"
    write_run(hour, settings, make_events()[:9], texts=2)
    base = run / "vectors"
    with pytest.raises(SpaceError, match="version of its base"):
        join(hour, settings, space_folder=run / "space", base_vectors=base, everyone=False)
    join(run, settings)
    for _ in range(2):
        counts = join(hour, settings, space_folder=run / "space", base_vectors=base, everyone=False)
        assert (counts["items"], counts["texts"]) == (ITEMS + 2, 2)
        own = hour / "vectors" / "item_vectors.parquet"
        assert own.read_bytes() == (base / "item_vectors.parquet").read_bytes()
        assert not list((hour / "vectors").glob(".*"))
    shutil.rmtree(run / "vectors")
    interest_vectors(hour / "tables", hour / "vectors", AS_OF, settings, model_id=vectors_id(settings, VERSION))


def test_an_hour_without_a_base_has_the_items_as_the_space_knew_them(
    run: Path, tmp_path: Path, settings: Settings
) -> None:
    hour = tmp_path / "hour"
    write_run(hour, settings, make_events()[:9], texts=0, without_text=(0,))
    join(hour, settings, space_folder=run / "space", everyone=False)
    join(run, settings)
    (_, alone), (_, night) = (rows(folder / "vectors" / "item_vectors.parquet", "item_id") for folder in (hour, run))
    assert np.vecdot(alone, night).min() > 0.99


def test_a_space_of_other_texts_is_refused_before_anything_moves(run: Path, settings: Settings) -> None:
    text = np.eye(ITEMS + 2, 384, dtype=np.float32)
    write_space(run / "space", settings, make_events(), text, model="another@1/384")
    before = sorted(file.name for file in (run / "vectors").rglob("*"))
    with pytest.raises(SpaceError, match="another@1"):
        join(run, settings)
    with pytest.raises(SpaceError, match="missing"):
        join(run, settings, space_folder=run / "nothing")
    assert sorted(file.name for file in (run / "vectors").rglob("*")) == before


def test_vectors_of_two_identities_never_meet(run: Path, settings: Settings) -> None:
    join(run, settings)
    for wrong in (None, vectors_id(settings, "trained-ffffffffffff")):
        with pytest.raises(ValueError, match=f"behaviour@{VERSION}"):
            interest_vectors(run / "tables", run / "vectors", AS_OF, settings, model_id=wrong)


@pytest.mark.parametrize("with_gate", [False, True])
def test_what_is_learned_anew_at_a_moment_equals_what_the_run_serves(
    tmp_path: Path, settings: Settings, with_gate: bool
) -> None:
    events, folder = make_events(), tmp_path / "night"
    text = write_run(folder, settings, events, texts=0, without_text=(0,), half_life=2.0)
    write_space(folder / "space", settings, events, text)
    gate_file = folder / "gate.safetensors" if with_gate else None
    if gate_file:
        train_gate(folder / "tables", folder / "vectors", AS_OF, gate_file)
    join(folder, settings)
    model_id = vectors_id(settings, VERSION)
    interest_vectors(folder / "tables", folder / "vectors", AS_OF, settings, model_id=model_id, gate_file=gate_file)
    served = pq.read_table(folder / "vectors" / "user_vectors.parquet")
    _, items = rows(folder / "vectors" / "item_vectors.parquet", "item_id")
    user, item, age = np.array(events).T
    gate = load_gate(gate_file) if gate_file else settings.fusion_gate
    weight = np.ones(len(events))
    found = learn_interests(user.astype(int), item.astype(int), age, weight, text, SPANS, gate, USERS + 1)
    assert not found.long[USERS].any() and not found.fused[USERS].any()
    assert np.allclose(found.items @ found.items.T, items @ items.T, atol=1e-4)
    for name in ("long", "short", "fused"):
        wanted = np.array([row or [0.0] * 640 for row in served[name].to_pylist()])
        ours = getattr(found, name)[:USERS]
        assert np.allclose(ours @ found.items.T, wanted @ items.T, atol=1e-4)


def test_a_gate_knows_the_same_vectors_whatever_the_frame(run: Path, tmp_path: Path, settings: Settings) -> None:
    """Trained before the run was joined or after it: the originals of text are read."""
    first = train_gate(run / "tables", run / "vectors", AS_OF, tmp_path / "one.safetensors")
    join(run, settings)
    train_gate(run / "tables", run / "vectors", AS_OF, tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    gate = load_gate(tmp_path / "one.safetensors")
    assert first["model"] == vectors_id(settings, None) + "+behaviour"
    gate.check(AS_OF, vectors_id(settings, VERSION))
    with pytest.raises(GateError, match="train it again"):
        gate.check(AS_OF, vectors_id(settings, None))


def test_the_gate_learns_from_all_events_before_as_of(run: Path, settings: Settings) -> None:
    table = pq.read_table(run / "tables" / "user_events.parquet")
    late = pa.array([AS_OF.replace(tzinfo=None) + timedelta(days=1)] * len(table), pa.timestamp("us"))
    later = table.set_column(table.column_names.index("event_at"), "event_at", late)
    later = later.set_column(2, "event_id", pa.array([f"late{row}" for row in range(len(table))]))
    held = read_run(run / "tables", run / "vectors", AS_OF)
    pq.write_table(pa.concat_tables([table, later]), run / "tables" / "user_events.parquet")
    again = read_run(run / "tables", run / "vectors", AS_OF)
    assert len(held.behaviour.age) == len(table) and (held.behaviour.age > 0).all()
    assert np.array_equal(again.behaviour.age, held.behaviour.age)
    assert np.array_equal(again.vectors_at(14)[0], held.vectors_at(14)[0])
    assert Decimal(str(held.behaviour.weight[0])) == 1


def test_a_space_is_trained_from_a_run_to_the_same_bytes_joined_or_not(
    run: Path, tmp_path: Path, settings: Settings
) -> None:
    card = train_space(run / "tables", run / "vectors", AS_OF, tmp_path / "one")
    assert card["model"] == vectors_id(settings, None) and (card["items"], card["users"]) == (ITEMS, USERS)
    counts = join(run, settings, space_folder=tmp_path / "one")
    assert (counts["items"], counts["items_new"]) == (ITEMS + 2, 0)
    train_space(run / "tables", run / "vectors", AS_OF, tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
