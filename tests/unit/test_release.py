"""What a release is made of: one version, the files that others read, and the hook in a repository of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import aebuild
from aebuild.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_version_is_written_once_and_cited():
    cited = read("CITATION.cff")
    assert cited["version"] == aebuild.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(cited)          # what its schema asks for
    assert cited["cff-version"] == "1.2.0"
    assert cited["license"] == "Apache-2.0"
    assert all("name" in author or "family-names" in author for author in cited["authors"])
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in text
    assert 'version = {attr = "aebuild.__version__"}' in text


def test_the_action_calls_commands_that_there_are():
    action = read("action.yml")
    assert {"name", "description", "runs"} <= set(action)
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        assert "uses" in step or step["shell"] == "bash"          # which a composite action asks for
        assert "${{" not in step.get("run", ""), "what a user gives is no part of a script"
    told = (ROOT / "Dockerfile").read_text(encoding="utf-8") + (ROOT / "action.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"aebuild (\w+)", told.replace("-t aebuild .", ""))) - set(VERBS) == set()
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())


@pytest.mark.slow
def test_the_hook_checks_the_specs_of_another_repository(tmp_path):
    hook, = read(".pre-commit-hooks.yaml")
    assert re.search(hook["files"], "specs/a.yaml") and not re.search(hook["files"], "docs/a.yaml")
    if shutil.which("git") is None or not _has_pre_commit():
        pytest.skip("no git or no pre-commit")
    local = {**hook, "language": "system", "entry": f"{sys.executable} -m {hook['entry']}"}          # the same without an environment of its own
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]}))
    (tmp_path / "specs").mkdir()
    good = "data: digits\nencoder: {layer: linear, width: 8}\nlatent: {type: continuous, dim: 2}\n"
    (tmp_path / "specs" / "good.yaml").write_text(good)
    (tmp_path / "other.yaml").write_text("a: 1\n")
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}

    def hooked() -> subprocess.CompletedProcess[str]:
        subprocess.run(["git", "add", "."], cwd=tmp_path, check=True, capture_output=True)
        return subprocess.run([sys.executable, "-m", "pre_commit", "run", "--all-files", "--verbose"], cwd=tmp_path, env=environment,
                              capture_output=True, text=True, check=False)

    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    done = hooked()
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "specs" / "bad.yaml").write_text(good.replace("width", "widht"))
    done = hooked()
    assert done.returncode == 1
    assert "AE101" in done.stdout and "specs/bad.yaml:2:" in done.stdout, done.stdout


def _has_pre_commit() -> bool:
    import importlib.util

    return importlib.util.find_spec("pre_commit") is not None
