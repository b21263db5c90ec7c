"""Plug-ins: loaded where the user names them, never because a folder says so, and every failure is the user's message."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import called

import aebuild
from aebuild.compile import plugins as module
from aebuild.compile.plugins import load_plugins, loaded_plugins
from aebuild.lang.diagnostics import CheckpointError, Rule, SpecError, UsageError
from aebuild.lang.families import Layer
from aebuild.lang.part import Part
from aebuild.results.experiment import resume
from aebuild.results.revision import Request

GUIDE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
GATED = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)[0]
SPEC = """name: gated
data: digits
encoder: [gated: 12, linear: 8]
latent: {type: continuous, dim: 4}
train: {steps: 3, batch_size: 16, device: cpu, speed: exact}
"""
HEAD = "from typing import Literal\nfrom aebuild.lang.families import Layer\nfrom aebuild.lang.part import knob\n\n"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No plug-in before, and none left behind."""
    monkeypatch.delenv(module.VARIABLE, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    yield
    forget()


def forget() -> None:
    """As in a new process."""
    for plugin in loaded_plugins():
        plugin.take_back()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "gated.py"
    path.write_text(GATED)
    return path


def wrong(path: Path, text: str | bytes) -> list[tuple[str, int | None]]:
    """What is said of a plug-in with this text: codes and lines."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    families, layers, rules = dict(Part.families), list(Layer.variants), dict(Rule.catalogue)
    with pytest.raises(UsageError) as raised:
        load_plugins([path])
    assert (Part.families, list(Layer.variants), Rule.catalogue) == (families, layers, rules), "something was left behind"
    assert raised.value.exit_code == 2
    return [(found.code, found.span.line if found.span else None) for found in raised.value.diagnostics]


def part(name: str = "odd", body: str = '    """An odd layer."""\n', base: str = "Layer") -> str:
    return f'{HEAD}class Odd({base}):\n{body}    type: Literal["{name}"] = "{name}"\n'


@pytest.mark.parametrize(("text", "code", "line"), [
    ("def f(:\n", "AE123", 1), ("x = 1\n  y = 2\n", "AE123", 2), (b"\xff\xfe\0", "AE123", 1), ("x = '\0'\n", "AE123", 1),
    ("import no_such_module\n", "AE124", 1), ("def f():\n    return 1 / 0\n\nf()\n", "AE124", 2), ("raise SystemExit(3)\n", "AE124", 1),
    ('from aebuild.lang.diagnostics import Rule\nRule("AE101", "x", "y")\n', "AE124", 2),
    (part(body=""), "AE125", 5), (part(body='    """An odd layer."""\n    width: int = 3\n'), "AE125", 5),
    (part(name="Odd one"), "AE125", 5), (part(body='    """An odd layer."""\n    other: "Nowhere" = knob(None, "x", affects="graph")\n'), "AE125", 5),
    (part().replace(' = "odd"', ""), "AE125", 5), (HEAD + 'class Odd(Layer):\n    """Odd."""\n    family = "layer"\n', "AE125", 5),
    (part(name="linear"), "AE126", 5), (part(name="transformer"), "AE126", 5),
    (part() + part().removeprefix(HEAD), "AE126", 8),
    ("", "AE127", None), ("x = 1\n", "AE127", None), (HEAD + 'class Odd(Layer):\n    """No word for it."""\n', "AE127", None),
])
def test_what_is_wrong_with_a_plugin_is_said_at_its_line(text, code, line, tmp_path):
    assert wrong(tmp_path / "odd.py", text) == [(code, line)]


def test_a_clash_is_seen_before_the_file_of_the_shipped_part_is_imported(tmp_path, spec):
    (tmp_path / "odd.py").write_text(part(name="transformer"))
    done = subprocess.run([sys.executable, "-m", "aebuild", "validate", str(spec), "--plugin", str(tmp_path / "odd.py")],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "AE126 ─ there is a layer 'transformer' in aebuild already" in done.stderr


def test_two_plugins_with_one_word(tmp_path):
    (tmp_path / "a.py").write_text(part())
    load_plugins([tmp_path / "a.py"])
    assert wrong(tmp_path / "b.py", part() + "# another\n") == [("AE126", 5)]


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a pipe", "too much"])
def test_what_is_no_file_is_said(kind, tmp_path):
    path = tmp_path / "odd.py"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "too much":
        path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(UsageError, match="AE122"):
        load_plugins([path])


def test_a_misspelt_file_is_proposed(plugin):
    with pytest.raises(UsageError) as raised:
        load_plugins([plugin.with_name("gatde.py")])
    assert raised.value.diagnostics[0].fix == f"--plugin {plugin}"


def test_a_file_is_run_once_however_it_is_named(plugin, tmp_path, monkeypatch):
    plugin.write_text(plugin.read_text() + f"\nwith open({str(tmp_path / 'runs')!r}, 'a') as f:\n    f.write('x')\n")
    (tmp_path / "link.py").symlink_to(plugin)
    monkeypatch.setenv(module.VARIABLE, os.pathsep.join([str(plugin), "", str(tmp_path / "link.py")]))
    monkeypatch.chdir(tmp_path)
    found = load_plugins(["gated.py", "./gated.py"])
    assert [each.names for each in found] == [["layer gated"]]
    assert (tmp_path / "runs").read_text() == "x"


def test_a_file_that_has_changed_is_loaded_anew(plugin):
    load_plugins([plugin])
    before = Layer.variants["gated"]
    plugin.write_text(plugin.read_text().replace('"output features"', '"features"'))
    load_plugins([plugin])
    assert Layer.variants["gated"] is not before
    assert Layer.variants["gated"].model_fields["width"].description == "features"
    assert len(loaded_plugins()) == 1


@pytest.mark.parametrize("verb", ["validate", "summary", "show"])
def test_a_spec_with_its_part_is_checked_where_it_is_named(verb, spec, plugin, monkeypatch, capsys):
    code, _, err = called((verb, spec), monkeypatch, capsys)
    assert (code, "AE103" in err) == (3, True)
    assert called((verb, spec, "--plugin", plugin), monkeypatch, capsys)[0] == 0
    forget()
    monkeypatch.setenv(module.VARIABLE, str(plugin))
    assert called((verb, spec), monkeypatch, capsys)[0] == 0


def test_schema_and_explain_know_it(plugin, monkeypatch, capsys):
    assert "block:gated" not in json.loads(called(("schema",), monkeypatch, capsys)[1])["$defs"]
    assert "layer:gated" in json.loads(called(("schema", "--plugin", plugin), monkeypatch, capsys)[1])["$defs"] or \
        "block:gated" in json.loads(called(("schema", "--plugin", plugin), monkeypatch, capsys)[1])["$defs"]
    code, out, _ = called(("explain", "gated", "--plugin", plugin), monkeypatch, capsys)
    assert code == 0
    assert "Dauphin" in out
    assert "`width`" in out


def test_an_exception_of_a_part_is_told_at_its_line(spec, plugin, monkeypatch, capsys):
    plugin.write_text(plugin.read_text().replace("inputs, both = ", "inputs, both = 1 / 0, "))
    line = plugin.read_text()[:plugin.read_text().index("1 / 0")].count("\n") + 1
    code, out, err = called(("validate", spec, "--plugin", plugin), monkeypatch, capsys)
    assert (code, out) == (3, "")
    assert "AE128" in err and "ZeroDivisionError" in err and f"{plugin}:{line}:" in err
    report = Path(err.rsplit(" ", 1)[-1].strip())
    assert "Traceback" in report.read_text()
    report.unlink()


def test_the_example_of_the_guide_trains(plugin, tmp_path, monkeypatch, capsys):
    text = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)[0]
    (tmp_path / "gated.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    code, out, _ = called(("validate", "gated.yaml", "--plugin", "gated.py"), monkeypatch, capsys)
    assert (code, out.strip()) == (0, re.findall(r"^gated.yaml: fine .*$", GUIDE, re.MULTILINE)[0])
    assert aebuild.train("gated.yaml", "train={steps: 2, device: cpu, speed: exact}", folder="run", plugins="gated.py").run.is_dir()


# ------------------------------------------------------------------------------------------------------------------------ runs


@pytest.fixture
def run(spec, plugin, tmp_path) -> Path:
    """A run of a spec with the plug-in, in a process that then knows nothing of it."""
    folder = aebuild.train(spec, folder=tmp_path / "run", plugins=plugin).run
    forget()
    return folder


def test_a_run_knows_its_plugins_and_nothing_is_run_by_itself(run, plugin):
    told = json.loads((run / "plugins.json").read_text())["plugins"]
    assert [(each["path"], each["parts"]) for each in told] == [(str(plugin), ["layer gated"])]
    assert (run / "plugins" / told[0]["copy"]).read_bytes() == plugin.read_bytes()
    for refused, advice in ((lambda: aebuild.open_run(run), f"open_run({str(run)!r}, plugins=[{str(plugin)!r}])"),
                            (lambda: resume(run), f"aebuild train --resume {run} --plugin {plugin}"),
                            (lambda: aebuild.plan(run), f"--plugin {plugin}")):
        with pytest.raises(CheckpointError) as raised:
            refused()
        found = raised.value.diagnostics[0]
        assert (found.code, found.fix) == ("AE517", advice)
        assert str(plugin) in found.message
        assert told[0]["sha256"] in found.message
    assert loaded_plugins() == ()


def test_a_run_is_opened_and_resumed_with_its_plugin_named_again(run, plugin):
    opened = aebuild.open_run(run, plugins=[plugin])
    assert opened.notes == ()
    assert opened.model.reconstruct(torch.zeros(2, 1, 8, 8)).shape == (2, 1, 8, 8)
    forget()
    load_plugins([plugin])
    assert resume(run).run == run


def test_the_copy_serves_where_the_file_is_gone(run, plugin):
    copy = next((run / "plugins").iterdir())
    plugin.unlink()
    with pytest.raises(CheckpointError) as raised:
        resume(run)
    assert raised.value.diagnostics[0].fix == f"aebuild train --resume {run} --plugin {copy}"
    load_plugins([copy])
    assert resume(run).run == run
    assert list((run / "plugins").iterdir()) == [copy]


def test_a_changed_plugin_is_noted_and_refused_on_a_resume(run, plugin):
    plugin.write_text(plugin.read_text() + "# edited\n")
    opened = aebuild.open_run(run, plugins=[plugin])
    assert len(opened.notes) == 1
    assert str(plugin) in opened.notes[0]
    with pytest.raises(SpecError) as raised:
        resume(run)
    assert [found.code for found in raised.value.diagnostics] == ["AE518"]
    resume(run, change=Request(allow=True))
    assert "SHA-256" in (run / "log.txt").read_text()
    assert len(list((run / "plugins").iterdir())) == 2
    resume(run)                                                     # from now on it is the plug-in of this run


def test_a_run_without_plugins_says_nothing_of_them(tmp_path, plugin):
    load_plugins([plugin])
    folder = aebuild.train({"data": "digits", "encoder": [{"linear": 8}], "latent": {"type": "continuous", "dim": 2},
                            "train": {"steps": 1, "speed": "exact", "device": "cpu"}}, folder=tmp_path / "run").run
    assert not (folder / "plugins.json").exists()


@pytest.mark.parametrize("text", ['{"plugins": 3}', '{"plugins": [{"path": "x"}]}', "[]", "\0"])
def test_a_damaged_record_is_no_run(run, plugin, text):
    (run / "plugins.json").write_text(text)
    with pytest.raises(CheckpointError, match="AE502"):
        aebuild.open_run(run, plugins=plugin)


@pytest.mark.slow
def test_processes_of_a_training_get_the_same_plugins(spec, plugin, tmp_path):
    """On two processes, resumed by a third command that names it, with advice that names it."""
    def train(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "aebuild", "train", *map(str, words)], cwd=tmp_path, capture_output=True, text=True,
                              timeout=300, check=False)

    done = train(spec, "-o", "several", "--devices", 2, "--retries", 1, "--plugin", "gated.py")
    assert done.returncode == 0, done.stderr
    assert f"--resume several --plugin {plugin} --set" in done.stderr or f"--plugin {plugin} --set" in done.stderr
    refused = train("--resume", "several", "--devices", 2)
    assert (refused.returncode, refused.stderr.count("error AE517")) == (5, 1)
    assert f"aebuild train --resume several --plugin {plugin}" in refused.stderr.replace("\n", " ").replace("  ", "")
