"""Settings come from arguments, the environment and one optional file, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from embeddings.settings import Settings, load_settings


def test_the_home_follows_the_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(source="online_retail")
    assert settings.root == tmp_path / "data" / "online_retail"
    assert settings.landing_path == settings.root / "landing"


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "tideline.toml"
    file.write_text('source = "canonical"\nfusion_gate = 0.25\n')
    monkeypatch.setenv("TIDELINE_CONFIG", str(file))
    monkeypatch.setenv("TIDELINE_FUSION_GATE", "0.75")
    monkeypatch.delenv("TIDELINE_SOURCE", raising=False)
    settings = load_settings()
    assert (settings.source, settings.fusion_gate) == ("canonical", 0.75)


def test_dbt_vars_are_written_in_dbts_own_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDELINE_VARS", "{repeats_allowed: false, top_k: 5}")
    assert load_settings().vars == {"repeats_allowed": False, "top_k": 5}


@pytest.mark.parametrize(
    ("name", "value"),
    [("source", "../x"), ("source", "A b"), ("fusion_gate", 1.5), ("vars", "[1]"), ("memory_limit", "all")],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_the_secret_is_not_shown() -> None:
    assert "hidden-key" not in repr(Settings(ledger_secret="hidden-key"))


def test_every_setting_is_in_the_readme() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    missing = [name for name in Settings.model_fields if f"`TIDELINE_{name.upper()}`" not in readme]
    assert missing == []
