"""Peers are tuned on the earlier cutoff only; scores become figures by the rules that they state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from evaluation.arrays import CUTOFF, events, split_of

from tideline.evaluation.contest import Ground, Place, compete
from tideline.evaluation.figures import make_figures, settings_figures
from tideline.evaluation.peers import PEERS
from tideline.evaluation.picture import draw
from tideline.evaluation.segments import user_segments, wanted_new_items
from tideline.evaluation.split import split_at
from tideline.evaluation.summary import print_summary
from tideline.evaluation.tuning import tune

OWN = next(peer for peer in PEERS if peer.name == "own_history")


def values(figures, metric):
    return {figure["subject"]: figure["value"] for figure in figures if figure["metric"] == metric}


def test_tuning_takes_what_is_best_on_its_own_split():
    # Everybody wants what he had most lately: the shortest half-life wins; or what he had most often: the longest does.
    often = [(f"u{n}", "often", -80 - day) for n in range(9) for day in range(3)]
    lately = [(f"u{n}", "lately", -20) for n in range(9)]
    for wanted, half_life in (("lately", 7.0), ("often", None)):
        split = split_of([*often, *lately, *((f"u{n}", wanted, 1) for n in range(9))])
        peer = replace(OWN, grid={"half_life": (7.0, None)})
        tuned = tune(peer, split, ["repeats", "new"], None)
        assert tuned["repeats"].settings == {"half_life": half_life} and tuned["repeats"].ndcg == pytest.approx(1)
        assert tuned["new"].settings == {"half_life": 7.0} and np.isnan(tuned["new"].ndcg)


@pytest.fixture(scope="module")
def contest():
    """Two cutoffs and an earlier one on random events; what is published is what comes, so it cannot be beaten."""
    random = np.random.default_rng(8)
    rows = [
        (f"u{random.integers(30):02}", f"i{random.integers(25):02}", -float(random.uniform(0, 70))) for _ in range(900)
    ]
    table = events(rows)

    def ground(weeks, *, published):
        split = split_at(table, table, CUTOFF - timedelta(days=7 * weeks), 7)
        lists = {mode: answer(split, mode) for mode in ("repeats", "new")} if published else {}
        return Ground(split, None, lists, short_window_days=7.0)

    return compete(
        ground(3, published=False),
        [ground(2, published=True), ground(1, published=True)],
        ["repeats", "new"],
        slow=False,
    )


def answer(split, mode):
    user, item = split.wanted(mode)
    rank = np.arange(user.size) - np.searchsorted(user, user) + 1
    return pa.table(
        {"user_id": split.user_id.take(pa.array(user)), "rank": rank, "item_id": split.item_id.take(pa.array(item))}
    )


def test_every_peer_that_needs_no_vectors_is_scored_at_every_cutoff(contest):
    places, chosen, seconds = contest
    assert len(places) == 4
    expected = {"popular", "popular_7d", "popular_28d", "item_knn", "ease", "als", "tifu_knn"}
    for place in places:
        assert set(place.scores) == expected | {"tideline"} | ({"own_history"} if place.mode == "repeats" else set())
        assert place.scores["tideline"]["ndcg"] == pytest.approx(1)
    assert set(chosen) == set(seconds) == expected | {"own_history"}


def test_figures_of_a_contest(contest, tmp_path, capsys):
    places, chosen, _ = contest
    figures = make_figures(places)
    ndcg = values(figures, "ndcg@10")
    assert ndcg["tideline/mean/repeats/all"] == pytest.approx(1) == ndcg["tideline/2020-05-25/new/heavy"]
    for place in places:
        where = f"{place.cutoff:%Y-%m-%d}/{place.mode}/all"
        assert ndcg[f"ease/{where}"] == pytest.approx(place.scores["ease"]["ndcg"].mean())
    both = [ndcg[f"ease/{cutoff}/new/all"] for cutoff in ("2020-05-18", "2020-05-25")]
    assert ndcg["ease/mean/new/all"] == pytest.approx(np.mean(both))
    low, high = (values(figures, f"ndcg@10_{side}")["ease/mean/new/all"] for side in ("low", "high"))
    assert low < ndcg["ease/mean/new/all"] < high
    (own,) = [row for row in figures if row["metric"] == "ndcg@10" and row["subject"] == "tideline/mean/repeats/all"]
    peers = {subject: value for subject, value in ndcg.items() if subject.endswith("/mean/repeats/all")}
    peers.pop("tideline/mean/repeats/all")
    assert own["compared_with"] == max(peers, key=peers.get) and own["ratio"] == pytest.approx(1 / max(peers.values()))
    gaps = {row["compared_with"]: row["value"] for row in figures if row["metric"] == "ndcg@10_difference"}
    assert gaps["ease/mean/new/all"] == pytest.approx(1 - ndcg["ease/mean/new/all"])
    users = values(figures, "users")
    assert users["all/mean/new/all"] == users["all/mean/new/active"] + users["all/mean/new/quiet"]
    assert users["all/mean/new/all"] == sum(users.get(f"all/mean/new/{name}", 0) for name in ("new", "light", "heavy"))
    assert {row["subject"].split("/")[0] for row in settings_figures(chosen, "2020-05-11")} >= {
        "ease",
        "als",
        "tifu_knn",
    }
    print_summary(figures, chosen, "made up")
    printed = capsys.readouterr().out
    assert "tideline minus it" in printed and "own_history" in printed and "half_life" in printed
    draw(figures, "made up", tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"


def test_users_without_a_list_count_as_nothing():
    split = split_of([("ann", "a", -1), ("bob", "b", -1), ("ann", "b", 1), ("bob", "a", 1)])
    table = pa.table({"user_id": ["ann"], "rank": [1], "item_id": ["b"]})
    places, _, _ = compete(
        Ground(split, None, {}, 7.0), [Ground(split, None, {"new": table}, 7.0)], ["new"], slow=False
    )
    assert values(make_figures(places), "ndcg@10")["tideline/mean/new/all"] == pytest.approx(0.5)


def test_segments_by_hand():
    rows = [
        ("new", "a", -3),
        ("light", "a", -60),
        *(("heavy", "a", -60 + n) for n in range(20)),
        ("middle", "c", -60),
        ("middle", "c", -9),
    ]
    split = split_of([*rows, *((user, "b", 1) for user in ("new", "light", "heavy", "middle")), ("light", "c", 1)])
    names = split.user_id.to_pylist()
    found = user_segments(split, split.test_users("new"), short_window_days=7)
    told = {name: {names[n] for n in np.flatnonzero(members)} for name, members in found.items()}
    assert told == {
        "all": {"heavy", "light", "middle", "new"},
        "new": {"new"},
        "light": {"light", "middle"},
        "heavy": {"heavy"},
        "active": {"new"},
        "quiet": {"heavy", "light", "middle"},
    }
    user, item = wanted_new_items(split, "new")
    # b had no event before the cutoff; c had its first one long ago.
    assert {split.item_id[int(n)].as_py() for n in item} == {"b"} and user.size == 4


def test_a_mode_without_anybody_gives_no_figure():
    place = Place(CUTOFF, "new", pa.array([], pa.string()), {"all": np.zeros(0, dtype=bool)})
    assert make_figures([place]) == []
