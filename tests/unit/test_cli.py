"""The command line: exit codes, forms of output, and what users get wrong (training apart)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aebuild.cli import main
from aebuild.cli.verbs import VERBS
from aebuild.results.catalogue import every_rule

GOOD = "data: digits\nencoder: {layer: linear, width: 32}\nlatent: {type: continuous, dim: 8}\n"
BAD = GOOD.replace("width", "widht")
WARNED = GOOD.replace("dim: 8", "dim: 32")
ENCODINGS = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}


@pytest.fixture
def run(monkeypatch, capsys):
    """Calls the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: object):
        monkeypatch.setattr(sys, "argv", ["aebuild", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return ended.value.code or 0, out, err

    return call


@pytest.fixture
def spec(tmp_path: Path):
    """Writes a spec and gives its path."""
    def write(text: str | bytes, name: str = "spec.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_fine_spec_says_so_on_stdout(run, spec):
    code, out, err = run("validate", spec(GOOD))
    assert code == 0
    assert "fine" in out
    assert err == ""


def test_quiet_says_nothing_about_fine_files(run, spec):
    assert run("validate", "-q", spec(GOOD)) == (0, "", "")


def test_warnings_alone_exit_with_zero(run, spec):
    code, _, err = run("validate", spec(WARNED))
    assert code == 0
    assert "AE201" in err


def test_a_bad_spec_exits_with_three_and_underlines_on_stderr(run, spec):
    path = spec(BAD)
    code, out, err = run("validate", path)
    assert (code, out) == (3, "")
    assert f"{path}:2:26" in err
    assert "^^^^^" in err
    assert "fix: width: 32" in err
    assert "aebuild explain AE101" in err


@pytest.mark.parametrize("verb", ["validate", "summary", "show"])
def test_exit_codes_are_the_same_for_every_verb(verb, run, spec, tmp_path):
    assert run(verb, spec(GOOD))[0] == 0
    assert run(verb, tmp_path / "none.yaml")[0] == 2
    assert run(verb, spec(BAD))[0] == 3
    assert run(verb, spec(GOOD.replace("digits", "nowhere.csv")))[0] == 4


def test_a_missing_spec_names_the_nearest_one(run, spec):
    code, _, err = run("validate", spec(GOOD).with_name("sepc.yaml"))
    assert code == 2
    assert "AE111" in err
    assert "spec.yaml" in err


def test_json_has_every_finding_on_stdout(run, spec):
    code, out, err = run("validate", "--format", "json", spec(BAD))
    found = json.loads(out)
    assert (code, err) == (3, "")
    assert [(entry["code"], entry["line"], entry["column"]) for entry in found] == [("AE101", 2, 26)]
    assert json.loads(run("validate", "--format", "json", spec(GOOD))[1]) == []


def test_concise_is_one_line_a_finding(run, spec):
    path = spec(BAD)
    code, _, err = run("validate", "--format", "concise", path)
    assert code == 3
    assert err.splitlines()[0].startswith(f"{path}:2:26: AE101 ")


def test_folders_and_many_files_give_the_worst_code(run, spec, tmp_path):
    spec(GOOD, "a/one.yaml"), spec(BAD, "a/deep/two.yml"), spec("no: spec", "a/three.txt")
    missing = spec(GOOD.replace("digits", "nowhere.csv"), "four.yaml")
    code, out, err = run("validate", tmp_path / "a")
    assert code == 3
    assert out.count("fine") == 1
    assert "two.yml:2:26" in err
    assert run("validate", tmp_path / "a", missing)[0] == 4


def test_a_folder_without_specs_is_a_usage_error(run, tmp_path):
    code, _, err = run("validate", tmp_path)
    assert code == 2
    assert "no .yaml files" in err


@pytest.mark.parametrize(("content", "rule"), [
    (bytes(range(256)) * 4, "AE001"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "AE001"), (b"", "AE004"), (b"a: 1\n" * 2_000_000, "AE002"),
    (b"PK\3\4\0\0", "AE003"),
], ids=["bytes", "picture", "empty", "ten megabytes", "zip"])
def test_what_is_no_spec_is_said_quickly(content, rule, run, spec):
    code, _, err = run("validate", spec(content))
    assert code == 3
    assert rule in err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_a_usage_error(run, spec):
    path = spec(GOOD)
    path.chmod(0)
    code, _, err = run("validate", path)
    assert code == 2
    assert "Permission denied" in err


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_device_that_never_ends_is_not_read(run, spec):
    assert run("validate", "/dev/zero")[0] == 2
    assert run("validate", spec(GOOD + "extends: /dev/zero\n"))[0] == 3


def test_a_folder_of_specs_with_a_pipe_in_it_is_checked_to_the_end(run, spec, tmp_path):
    spec(GOOD, "good.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert run("validate", tmp_path)[0] == 0
    os.mkfifo(tmp_path / "pipe.yaml")
    code, out, err = run("validate", tmp_path)
    assert code == 2
    assert "good.yaml: fine" in out
    assert "AE111" in err


def test_a_spec_may_come_through_a_pipe(spec):
    done = subprocess.run([sys.executable, "-m", "aebuild", "validate", "/dev/stdin"], input=GOOD, text=True, capture_output=True,
                          check=False, env=ENCODINGS)
    assert done.returncode == 0, done.stderr


def test_settings_are_checked_like_the_file(run, spec):
    path = spec(GOOD)
    assert run("validate", path, "--set", "encoder.width=64")[0] == 0
    code, _, err = run("validate", path, "--set", "encoder.widht=64")
    assert code == 3
    assert "--set" in err
    assert "width: 64" in err


def test_show_prints_a_spec_that_shows_itself_again(run, spec):
    first = run("show", spec(GOOD))[1]
    assert "encoder:" in first
    assert run("show", spec(first, "again.yaml"))[1] == first


def test_summary_as_json_is_the_plan(run, spec):
    code, out, _ = run("summary", "--format", "json", spec(GOOD))
    assert code == 0
    assert json.loads(out)["parameters"] > 0


@pytest.mark.parametrize("code", every_rule())
def test_explain_tells_every_story(code, run):
    ended, out, err = run("explain", code.lower())
    assert (ended, err) == (0, "")
    assert every_rule()[code].title in out


def test_explain_lists_all_and_knows_its_own(run):
    listed = run("explain")[1].splitlines()
    assert [line[:5] for line in listed] == list(every_rule())
    code, _, err = run("explain", "AE999")
    assert code == 2
    assert "AE999" in err


def test_schema_prints_json(run):
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out)["title"] == "aebuild spec"


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_says_what_it_does(verb, run):
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert "Usage" in out
    assert len(out) > 100


def test_help_lists_every_verb(run):
    out = run("--help")[1]
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("words", [["vaildate"], ["validate"], ["validate", "--frmat", "json", "x"], ["validate", "--format", "xml", "x"],
                                   ["summary"], ["train"]])
def test_a_wrong_command_line_exits_with_two(words, run):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err
    if words == ["vaildate"]:
        assert "validate" in err


def test_a_reader_that_stops_reading_is_no_error():
    command = f"{sys.executable} -m aebuild schema | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=ENCODINGS)
    assert done.returncode == 0
    assert done.stderr == ""
