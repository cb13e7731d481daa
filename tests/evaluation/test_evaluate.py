"""`evaluate` as a person runs it: real nights at a past cutoff of a small shop, figures, picture, and their way on."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from end_to_end.shop import AS_OF, tideline, write_shop

pytestmark = pytest.mark.slow
CUTOFF = "2024-02-16"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> tuple[Path, Path, str]:
    landing = tmp_path_factory.mktemp("shop") / "landing"
    write_shop(landing, AS_OF, users=40)
    home = tmp_path_factory.mktemp("home")
    done = tideline(home, landing, "evaluate", "--cutoff", CUTOFF, "--horizon", "14", timeout=900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return home, landing, done.stdout


def report(home):
    return json.loads((home / "reports" / "evaluate.json").read_text())["rows"]


def test_it_shows_and_reports_every_model(evaluated):
    home, _, printed = evaluated
    assert "tideline minus it" in printed and "tuned" in printed
    figures = report(home)
    ndcg = {row["subject"]: row["value"] for row in figures if row["metric"] == "ndcg@10"}
    peers = {"popular", "popular_7d", "popular_28d", "item_knn", "ease", "als", "tifu_knn", "own_history"}
    vectors = {"text_mean", "text_decayed", "long_only", "short_only", "fixed_gate"}
    expected = {"tideline", *peers, *vectors}
    for where in (CUTOFF, "mean"):
        found = {subject.split("/")[0] for subject in ndcg if subject.endswith(f"{where}/repeats/all")}
        assert found - {"learned_gate"} == expected
        found = {subject.split("/")[0] for subject in ndcg if subject.endswith(f"{where}/new/all")}
        assert found - {"learned_gate"} == expected - {"own_history"}
    assert 0 < ndcg["tideline/mean/repeats/all"] <= 1
    assert (home / "reports" / "evaluate.png").read_bytes()[:4] == b"\x89PNG"


def test_what_is_scored_is_what_real_runs_at_the_cutoff_published(evaluated):
    home, _, _ = evaluated
    own = home / "evaluation" / "20240216T000000Z"
    for mode, allowed in (("repeats", True), ("new", False)):
        publication = json.loads((own / f"{mode}.json").read_text())
        manifest = json.loads((own / "serving" / "generations" / f"{publication['generation']}.json").read_text())
        assert manifest["window"]["as_of"] == "2024-02-16T00:00:00+00:00"
        assert manifest["vars"] == {"repeats_allowed": allowed}
        with duckdb.connect(str(own / "serving" / manifest["snapshot"]), read_only=True) as snapshot:
            (users,) = snapshot.execute("select count(distinct user_id) from nightly_recommendations").fetchone()
        assert users > 30
    # The lake is the parent's: nothing was taken in twice. Nothing was published in the parent's own home.
    assert (own / "lake").resolve() == (home / "lake").resolve()
    assert not (home / "serving").exists()


def test_both_modes_rank_by_one_version_trained_before_the_cutoff(evaluated):
    own = evaluated[0] / "evaluation" / "20240216T000000Z"
    [card] = own.glob("models/model-*/card.json")
    assert json.loads(card.read_text())["trained_until"] == "2024-02-16T00:00:00+00:00"
    trained = ["train_models as of" in (own / f"{mode}.log").read_text() for mode in ("repeats", "new")]
    assert trained == [True, False]
    versions = {json.loads((own / f"{mode}.json").read_text())["model_version"] for mode in ("repeats", "new")}
    assert len(versions) == 1


def test_the_ground_where_peers_are_tuned_has_joined_vectors_too(evaluated):
    [run] = [file.parent for file in evaluated[0].glob("evaluation/*/interests.json")]
    [stages] = run.glob("runs/nightly-*/stages.jsonl")
    joined = [line for line in map(json.loads, stages.read_text().splitlines()) if line["stage"] == "join_vectors"]
    assert [line["rows"]["items_known"] > 0 for line in joined] == [True]


def test_a_finished_run_is_used_again_and_the_figures_stay_the_same(evaluated):
    home, landing, _ = evaluated
    first = report(home)
    logs = {file: file.stat().st_mtime_ns for file in home.glob("evaluation/*/*.log")}
    done = tideline(home, landing, "evaluate", "--cutoff", CUTOFF, "--horizon", "14", timeout=900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert {file: file.stat().st_mtime_ns for file in home.glob("evaluation/*/*.log")} == logs
    assert [row for row in report(home) if row["metric"] != "seconds"] == [
        row for row in first if row["metric"] != "seconds"
    ]


def test_the_next_commit_takes_the_figures_in(evaluated):
    home, landing, _ = evaluated
    done = tideline(home, landing, "run", "--as-of", "2024-03-01", "--hours", "0")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    with duckdb.connect(str((home / "serving" / "current.duckdb").resolve()), read_only=True) as current:
        kept = dict(
            current.execute(
                "select subject, value from quality_metrics where metric = 'ndcg@10' and as_of = '2024-02-16'"
            ).fetchall()
        )
    ndcg = {row["subject"]: row["value"] for row in report(home) if row["metric"] == "ndcg@10"}
    assert kept["tideline/mean/new/all"] == pytest.approx(ndcg["tideline/mean/new/all"])
    assert kept[f"ease/{CUTOFF}/repeats/all"] == pytest.approx(ndcg[f"ease/{CUTOFF}/repeats/all"])


def test_a_cutoff_with_nobody_after_it_is_one_line(evaluated):
    home, landing, _ = evaluated
    done = tideline(home, landing, "evaluate", "--cutoff", "2030-01-01")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: no known user has events in the 7 days after 2030-01-01 00:00")
