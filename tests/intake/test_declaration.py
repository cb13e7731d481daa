"""A declaration that says too little is refused in words that say what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tideline.intake import LandingError
from tideline.intake.declaration import read_declaration
from tideline.intake.process import STAGING


@pytest.mark.parametrize("source", sorted(path.name for path in STAGING.iterdir() if path.is_dir()))
def test_every_source_of_the_project_has_a_declaration(source: str) -> None:
    declaration = read_declaration(source, STAGING)
    assert declaration.tables
    assert all(table.columns and table.files for table in declaration.tables)


def test_an_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(LandingError, match=r"no source 'nobody'.*movielens_1m"):
        read_declaration("nobody", STAGING)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("{name: clicks, columns: [{name: a}]}", "landing.files"),
        ("{name: clicks, config: {meta: {landing: {files: 'c*'}}}}", "declare its columns"),
        ("{name: clicks, config: {meta: {landing: {files: 'c*', delimeter: ';'}}}, columns: [{name: a}]}", "delimeter"),
        ("{name: 'a b', config: {meta: {landing: {files: 'c*'}}}, columns: [{name: a}]}", "table name"),
        (
            "{name: clicks, config: {meta: {landing: {files: 'c*'}}}, columns: [{name: a, data_type: 'int); drop'}]}",
            "no data type",
        ),
    ],
)
def test_a_declaration_that_says_too_little_is_refused(table: str, expected: str, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop.yml").write_text(f"sources: [{{name: shop, tables: [{table}]}}]")
    with pytest.raises(LandingError, match=expected):
        read_declaration("shop", tmp_path)


def test_a_folder_without_a_declaration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    with pytest.raises(LandingError, match="sources: - name: shop"):
        read_declaration("shop", tmp_path)
