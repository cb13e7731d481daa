"""The embedding benchmark on little text: its rows, and that it compares the same work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embeddings.settings import load_settings
from tideline.commands.bench_embed import bench_embed, read_texts


def test_it_reports_both_rates_the_share_of_the_machine_and_a_second_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(home=tmp_path)
    bench_embed(settings, texts_at_most=120)
    rows = json.loads((tmp_path / "reports" / "bench-embed.json").read_text())["rows"]
    by_name = {(row["metric"], row["subject"]): row for row in rows}
    ours = by_name["tokens_per_second", "the Python language reference (pydoc_data)"]
    theirs = by_name["tokens_per_second", "sentence-transformers defaults"]
    assert ours["compared_with"] == "sentence-transformers defaults"
    assert ours["ratio"] == pytest.approx(ours["value"] / theirs["value"], rel=0.01)
    names = {row["metric"] for row in rows}
    assert {"share_of_matrix_rate", "mean_cosine", "worst_cosine", "same_neighbours", "alone_cosine"} <= names
    # The machine's rate is measured a moment later: on a busy machine a share may even exceed one.
    assert all(row["value"] > 0 for row in rows if row["unit"] == "share")
    assert ("seconds", "second run, 1% new") in by_name
    assert "round 3 of 3" in capsys.readouterr().out


def test_the_reviews_of_a_landing_folder_are_its_texts(datasets: Path, tmp_path: Path) -> None:
    subject, texts = read_texts(load_settings(home=tmp_path, landing=datasets / "amazon2023_slice"))
    assert subject == "amazon2023_slice" and len(texts) > 6000
    with pytest.raises(ValueError, match="LANDING must be the folder"):
        read_texts(load_settings(home=tmp_path, landing=tmp_path))
