"""The plan of a run's texts: what is missing, in shards, and only there in words."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from embeddings import plan as planning
from embeddings.embed import embed_run
from embeddings.model import describe_model
from embeddings.plan import plan_texts
from embeddings.settings import Settings, load_settings
from embeddings.shard_files import Plan, PlanError, find_shard, folder_of, read_plan, texts_file
from embeddings.texts import normalise
from embeddings.tokens import count_tokens

WriteRun = Callable[..., tuple[Path, Path]]
TEXTS = st.lists(st.text(alphabet="ab é\n.?1", max_size=60) | st.none(), max_size=25)


def planned(out: Path, plan: Plan) -> list[list[dict]]:
    return [pq.read_table(texts_file(out, shard.name)).to_pylist() for shard in plan.shards]


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(items=TEXTS, events=TEXTS, shard_tokens=st.integers(1, 60))
def test_every_text_is_in_one_shard_and_only_the_last_of_a_shard_exceeds_it(
    items: list[str | None], events: list[str | None], shard_tokens: int, write_run: WriteRun, tmp_path: Path
) -> None:
    settings = load_settings(home=tmp_path / "home", shard_tokens=shard_tokens)
    out = tmp_path / "vectors"
    plan = plan_texts(
        *write_run([{"item_id": f"i{n}", "description": text} for n, text in enumerate(items)], events), out, settings
    )
    shards = planned(out, plan)
    rows = [row for shard in shards for row in shard]
    sentences = {f"{text}" if text[-1] in ".?" else f"{text}." for text in map(normalise, items) if text}
    assert sorted(row["text"] for row in rows) == sorted(sentences | set(filter(None, map(normalise, events))))
    assert len({row["key"] for row in rows}) == len(rows) == plan.counts["unique"]
    assert plan.counts["asked"] == len(items) + len(events) and plan.counts["known"] == 0
    assert [row["tokens"] for row in rows] == count_tokens(settings, [row["text"] for row in rows]).tolist()
    for shard, stored in zip(plan.shards, shards, strict=True):
        tokens = [row["tokens"] for row in stored]
        assert (shard.texts, shard.tokens) == (len(stored), sum(tokens))
        assert sum(tokens) - max(tokens) < shard_tokens
    lengths = [max(row["tokens"] for row in shard) for shard in shards]
    assert lengths == sorted(lengths)


def test_the_same_texts_give_the_same_plan_whatever_their_order(write_run: WriteRun, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home", shard_tokens=12)
    texts = [f"{'night ' * (n % 5)}number {n}" for n in range(20)]
    plans = [
        plan_texts(*write_run(order[:5], order[5:], name), tmp_path / name, settings)
        for name, order in (("one", [f"{t}." for t in texts]), ("two", [f"{t}." for t in texts[::-1]]))
    ]
    assert len(plans[0].shards) > 5
    assert plans[0] == plans[1]


def test_a_text_in_two_blocks_counts_once_and_a_known_one_is_not_planned(
    write_run: WriteRun, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "TEXTS_A_BLOCK", 2)
    embed_run(*write_run(["Known."]), tmp_path / "before", settings)
    run = write_run(["Heat.", "?", "Heat.", "Known."], ["Heat.", None, "dull", "Heat.", "x" * 50_000])
    plan = plan_texts(*run, tmp_path / "vectors", settings)
    assert plan.counts == {"items": 4, "events": 5, "asked": 9, "empty": 2, "unique": 4, "known": 1}
    [rows] = planned(tmp_path / "vectors", plan)
    assert {row["text"][:5]: row["cut"] for row in rows} == {"Heat.": False, "dull": False, "xxxxx": True}


def test_each_kind_has_its_prompt_in_its_keys(write_run: WriteRun, tmp_path: Path) -> None:
    run = write_run(["Heat."], ["Heat."])
    plain = load_settings(home=tmp_path / "home")
    prompted = load_settings(home=tmp_path / "home", item_prompt="passage: ", user_prompt="query: ")
    assert [plan_texts(*run, tmp_path / "vectors", each).counts["unique"] for each in (plain, prompted)] == [1, 2]
    plan = read_plan(tmp_path / "vectors", describe_model(prompted))
    [rows] = planned(tmp_path / "vectors", plan)
    assert {row["kind"] for row in rows} == {"item", "event"}
    assert {row["tokens"] for row in rows} == set(count_tokens(prompted, ["Heat."], "query: ").tolist())


def test_a_large_plan_has_no_more_shards_than_a_task_is_mapped_over(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_SHARDS", 3)
    settings = load_settings(home=tmp_path / "home", shard_tokens=1)
    plan = plan_texts(*write_run(events=[f"text {n}" for n in range(20)]), tmp_path / "vectors", settings)
    assert len(plan.shards) == 3 and sum(shard.texts for shard in plan.shards) == 20


def test_texts_lie_in_the_private_folder_of_the_run_until_they_are_embedded(
    write_run: WriteRun, tmp_path: Path, settings: Settings
) -> None:
    run, out = write_run(["A quiet film about lighthouses"], ["Seven SAMURAI defend a village"]), tmp_path / "vectors"
    plan_texts(*run, out, settings)
    assert stat.S_IMODE(folder_of(out).stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.root / "ledger.key").stat().st_mode) == 0o600
    embed_run(*run, out, settings)
    for file in [*settings.root.rglob("*"), *out.rglob("*")]:
        content = file.read_bytes().lower() if file.is_file() else b""
        assert not any(word in content for word in (b"lighthouse", b"samurai", b"quiet")), file


def test_planning_again_leaves_nothing_of_the_plan_before(
    write_run: WriteRun, tmp_path: Path, settings: Settings
) -> None:
    out = tmp_path / "vectors"
    first = plan_texts(*write_run(["Heat."]), out, settings)
    second = plan_texts(*write_run(["Alien."]), out, settings)
    assert first.shards[0].name != second.shards[0].name
    assert not texts_file(out, first.shards[0].name).exists()
    with pytest.raises(PlanError, match="planned again"):
        find_shard(second, first.shards[0].name)


def test_a_plan_of_another_model_is_refused(write_run: WriteRun, tmp_path: Path, settings: Settings) -> None:
    plan_texts(*write_run(["Heat."]), tmp_path / "vectors", settings)
    other = load_settings(home=settings.root, user_prompt="query: ")
    with pytest.raises(PlanError, match="give this worker the settings"):
        read_plan(tmp_path / "vectors", describe_model(other))
    with pytest.raises(PlanError, match="plan the texts first"):
        read_plan(tmp_path / "elsewhere", describe_model(settings))
