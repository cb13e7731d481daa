"""The dbt project as a whole: its unit tests pass, and every mart has what its readers rely on."""

import json

import pytest

from tideline import contracts, warehouse


@pytest.fixture(scope="module")
def night(new_house, write_rows):
    house = new_house()
    house.land("b1", [{"user_id": "u0", "item_id": "i0", "event_at": "2024-04-30"}])
    run = house.built("nightly", "2024-05-01", ["b1"])
    write_rows(run.scored / "part-00000.parquet", contracts.SCORED, [])
    warehouse.build_marts(run, house.settings)
    return house, run


@pytest.fixture(scope="module")
def manifest(night):
    return json.loads((night[1].path / "dbt" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def marts(manifest):
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model" and "marts" in node["fqn"]]


def test_unit_tests_pass(night):
    house, run = night

    counts = warehouse.build(
        run.warehouse,
        command="test",
        select=["test_type:unit"],
        exclude=["path:models/staging", *warehouse.LANDED],
        source=run.source,
        vars={},
        target_path=run.path / "unit_tests",
        cache=house.root / "cache" / "dbt",
        settings=house.settings,
    )

    assert counts["tests"] >= 13


def test_every_mart_has_a_contract_a_grain_and_documented_columns(marts):
    assert len(marts) >= 16
    for node in marts:
        assert node["config"]["contract"]["enforced"], node["name"]
        assert node["description"].startswith("Grain: "), node["name"]
        assert all(column["description"] for column in node["columns"].values()), node["name"]


def test_every_model_and_source_is_described(manifest):
    ours = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")]
    ours += [source for source in manifest["sources"].values() if source["source_name"] in ("lake", "run")]

    assert [node["name"] for node in ours if not node["description"]] == []


def test_nothing_that_a_run_builds_reads_staging(manifest):
    staged = {key for key, node in manifest["nodes"].items() if {"staging", "landed"} & set(node.get("fqn", []))}
    built = {
        key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model" and key not in staged
    }

    assert {key for key, node in built.items() if staged & set(node["depends_on"]["nodes"])} == set()


def test_every_mart_has_a_reader(manifest, marts):
    read = {key for exposure in manifest["exposures"].values() for key in exposure["depends_on"]["nodes"]}

    assert {node["name"] for node in marts if node["unique_id"] not in read} == set()
