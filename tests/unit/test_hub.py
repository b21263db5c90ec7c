"""Pushing and pulling against a stand-in of the hub on this machine, which answers the calls that huggingface_hub makes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import yaml
from command_line import called
from run_copies import a_run
from trained_runs import opened, raw, run_folder

import aebuild
from aebuild.lang.diagnostics import CheckpointError
from aebuild.results.export.export import export_run

hub = pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.slow
COMMIT = "c" * 40


class Hub(ThreadingHTTPServer):
    """One owner, `me`, whose token is `right`; models by name as files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.models: dict[str, dict[str, bytes]] = {}
        self.strange: list[str] = []


class Answer(BaseHTTPRequestHandler):
    """What the hub says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def told(self, status: int, body: object = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_POST(self) -> None:
        body, path = self.rfile.read(int(self.headers.get("Content-Length", 0))), urlsplit(self.path).path
        models = self.server.models
        if path == "/api/validate-yaml":
            return self.told(200, {"errors": [], "warnings": []})
        if self.headers.get("Authorization") != "Bearer right":
            return self.told(401, {"error": "Invalid credentials"}, X_Error_Message="Invalid credentials in Authorization header")
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            models.setdefault(name, {})
            return self.told(200, {"url": f"http://{self.headers['Host']}/{name}"})
        name = "/".join(path.split("/")[3:5])
        if path.endswith("/preupload/main"):
            return self.told(200, {"files": [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                                             for each in json.loads(body)["files"]]})
        if path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    models[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self.told(200, {"success": True, "commitOid": COMMIT, "commitUrl": f"http://{self.headers['Host']}/{name}/commit/{COMMIT}"})
        self.server.strange.append(f"POST {path}")
        return self.told(404, {"error": "no such path"})

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        parts = path.strip("/").split("/")
        name = "/".join(parts[2:4]) if parts[0] == "api" else "/".join(parts[:2])
        files = self.server.models.get(name)
        if files is None:
            return self.told(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        if "main" not in parts and COMMIT not in parts and len(parts) > 4:
            return self.told(404, {"error": "Revision not found"}, X_Error_Code="RevisionNotFound")
        if parts[0] == "api" and "tree" in parts:
            return self.told(200, [{"type": "file", "path": file, "size": len(held), "oid": hashlib.sha1(held).hexdigest()}
                                   for file, held in files.items()])
        if parts[0] == "api":
            return self.told(200, {"id": name, "sha": COMMIT, "private": False, "tags": [], "siblings": [{"rfilename": file} for file in files]})
        if parts[2] == "resolve":
            held = files["/".join(parts[4:])]
            return self.told(200, held, ETag=f'"{hashlib.sha1(held).hexdigest()}"', X_Repo_Commit=COMMIT)
        self.server.strange.append(f"{self.command} {path}")
        return self.told(404, {"error": "no such path"})

    do_HEAD = do_GET


@pytest.fixture
def server(monkeypatch, tmp_path):
    served = Hub()
    threading.Thread(target=served.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{served.server_port}"
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "tokens"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "right")
    yield served
    served.shutdown()
    served.server_close()
    assert served.strange == []


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: called(words, monkeypatch, capsys)


def test_what_is_pulled_is_the_run_that_was_pushed(server, shell, tmp_path):
    run, data = opened("table"), raw("table")
    scored = run.score(data, ("all",))
    code, out, err = shell("push", run_folder("table"), "me/table", "--licence", "cc-by-4.0", "--tag", "planes", "--json")
    assert code == 0, err
    assert json.loads(out)["commit"].endswith(COMMIT)
    code, out, err = shell("pull", "me/table", "-o", "got")
    assert code == 0, err
    again = aebuild.open_run("got")
    assert np.array_equal(again.encode(data).values, run.encode(data).values)
    assert np.array_equal(again.reconstruct(data), run.reconstruct(data))
    assert np.array_equal(again.score(data, ("all",)).scores["combined"], scored.scores["combined"])
    assert shell("encode", "got", tmp_path / ".." / run.plan.spec.data.path, "-o", "codes.csv")[0] == 0
    pushed = server.models["me/table"]
    assert {path.name for path in Path("got").iterdir()} == set(pushed) - {".gitattributes"}
    assert str(Path(run.plan.spec.data.path).parent) not in b"".join(held for name, held in pushed.items() if not name.endswith("s")).decode()

    front, card = pushed["README.md"].decode().split("---\n\n", 1)
    told = yaml.safe_load(front.removeprefix("---\n"))
    assert told == {"license": "cc-by-4.0", "library_name": "aebuild", "tags": ["aebuild", "autoencoder", "continuous", "planes"]}
    for heading in ("Architecture", "Training data", "Figures", "Intended use", "Limits", "How to use", "Spec"):
        assert f"\n## {heading}\n" in card
    assert f"{run.plan.params:,} parameters" in card
    figures = json.loads((run_folder("table") / "evaluation.json").read_text())
    assert f"{figures['model']['mse']:.5g}" in card
    assert f"{figures['pca']['mse']:.5g}" in card
    hub.ModelCard(pushed["README.md"].decode())          # as the hub reads it


def test_an_exported_folder_is_evaluated_like_its_run(tmp_path, shell):
    folder = a_run(tmp_path / "run")
    export_run(aebuild.open_run(folder), tmp_path / "out")
    figures = [json.loads(shell("evaluate", place, "--json")[1])["model"]["mse"] for place in (folder, tmp_path / "out")]
    assert figures[0] == figures[1]
    weights = tmp_path / "out" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(CheckpointError, match="AE521"):
        aebuild.open_run(tmp_path / "out")


@pytest.mark.parametrize(("words", "token", "code", "said"), [
    (("push", "RUN", "me/vae"), "", 2, "AE524"),
    (("push", "RUN", "me/vae"), "wrong", 2, "AE524"),
    (("push", "RUN", "a/b/c"), "right", 2, "AE523"),
    (("pull", "me/none"), "right", 2, "AE523"),
    (("pull", "me/there", "--revision", "v9"), "right", 2, "AE523"),
    (("pull", "me/there"), "right", 5, "AE502"),
])
def test_what_the_hub_refuses_is_told(words, token, code, said, server, shell, monkeypatch, tmp_path):
    server.models["me/there"] = {"config.json": b"{}"}
    monkeypatch.setenv("HF_TOKEN", token)
    found, out, err = shell(*(str(run_folder("table")) if word == "RUN" else word for word in words))
    assert (found, said in err, out) == (code, True, ""), err
    assert not (tmp_path / "there").exists()


def test_no_network_and_no_package_are_told(shell, monkeypatch):
    import sys

    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    code, _, err = shell("pull", "me/vae")
    assert (code, "AE525" in err) == (6, True), err
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, _, err = shell("pull", "me/vae")
    assert (code, "AE522" in err) == (2, True), err
