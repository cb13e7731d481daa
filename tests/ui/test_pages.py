"""The pages: guarded, escaped, path-safe, and friendly where nothing is published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

GOOD, BAD = "nightly-20001122T000000Z-0123abcd", "nightly-20001123T000000Z-0123abcd"


@pytest.mark.parametrize("path", ["/", f"/data-docs/{BAD}/recommendations.html", "/nothing", "/openapi.json", "/docs"])
def test_a_stranger_sees_nothing(path: str, gates: Path, stranger: TestClient) -> None:
    answer = stranger.get(f"/tideline{path}")
    assert answer.status_code in (401, 404)
    assert "page of" not in answer.text
    if path in ("/", f"/data-docs/{BAD}/recommendations.html"):
        assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/", f"/data-docs/{BAD}/recommendations.html"])
def test_a_browser_is_sent_to_sign_in_and_back(path: str, gates: Path, stranger: TestClient) -> None:
    answer = stranger.get(f"/tideline{path}", headers={"Accept": "text/html"})
    assert answer.status_code == 302
    assert answer.headers["location"] == f"/api/v2/auth/login?next={quote(f'/tideline{path}', safe='')}"


@pytest.mark.parametrize("token", ["", "nonsense", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."])
def test_a_made_up_token_opens_nothing(token: str, gates: Path, stranger: TestClient) -> None:
    assert stranger.get("/tideline/", headers={"Authorization": f"Bearer {token}"}).status_code in (401, 403)
    stranger.cookies.set("_token", token)
    assert stranger.get("/tideline/").status_code in (401, 403)


def test_a_viewer_sees_that_nothing_is_published(home: Path, viewer: TestClient) -> None:
    answer = viewer.get("/tideline/")
    assert answer.status_code == 200
    assert "Nothing is published yet" in answer.text
    assert "No run has met a gate yet" in answer.text


def test_what_is_published_is_shown_newest_first(published: Path, viewer: TestClient) -> None:
    page = viewer.get("/tideline/").text
    current, history = page.split("Run history")
    assert "20001124T000000Z-nightly-0123abcd" in current
    assert "20001124T010000Z-hourly-0123abcd" in current
    assert "20001123T000000Z-nightly-0123abcd" not in current
    assert "99,200" in current
    shown = [history.index(f"2000112{stamp}") for stamp in ("4T010000Z", "4T000000Z", "3T000000Z")]
    assert shown == sorted(shown)


def test_a_shut_gate_is_explained_and_escaped(gates: Path, viewer: TestClient) -> None:
    page = viewer.get("/tideline/").text
    for part in ("every &lt;item&gt; is known", "unknown_items", "at most 0", "3,702", "failed: nothing was published"):
        assert part in page
    assert "<script>" not in page
    assert page.index(BAD) < page.index(GOOD), "the newest run comes first"
    assert "notes" not in page


def test_the_pages_run_no_script_and_ask_no_host(gates: Path, viewer: TestClient) -> None:
    policy = viewer.get("/tideline/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_data_docs_are_served(gates: Path, viewer: TestClient) -> None:
    link = f"data-docs/{BAD}/recommendations.html"
    assert f'href="{link}"' in viewer.get("/tideline/").text
    answer = viewer.get(f"/tideline/{link}")
    assert (answer.status_code, answer.text) == (200, f"<p>page of {BAD}</p>")


@pytest.mark.parametrize(
    "path",
    [
        "../../secret.html",
        "..%2f..%2fsecret.html",
        f"{BAD}/..%2f..%2f..%2fsecret.html",
        f"{BAD}%2f..%2f..%2fsecret.html",
        "/etc/passwd.html",
        f"{BAD}/staging.html",
        f"{BAD}/recommendations.json",
        "notes/recommendations.html",
    ],
)
def test_only_data_docs_pages_are_served(path: str, gates: Path, viewer: TestClient) -> None:
    assert viewer.get(f"/tideline/data-docs/{path}").status_code == 404


def test_the_plugin_is_registered_and_light() -> None:
    code = (
        "import sys; from airflow import plugins_manager as p; apps, _ = p.get_fastapi_plugins();"
        "assert [a['url_prefix'] for a in apps] == ['/tideline'], apps;"
        "views, _ = p._get_ui_plugins(); assert views[0]['href'] == '/tideline/', views;"
        "heavy = {'duckdb', 'great_expectations', 'pandas', 'airflow.api_fastapi.core_api.security'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
