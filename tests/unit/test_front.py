"""Reading, merging and settling a spec: what is looked up when, and odd files and settings."""

from __future__ import annotations

import os
import socket

import numpy as np
import pytest
from PIL import Image

from aebuild.compile.front import load
from aebuild.compile.wording import with_data
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import DataError, SpecError, UsageError
from aebuild.lang.tree import Tree

REST = "encoder: [linear: 8]\nlatent: {type: continuous, dim: 2}\n"
ROWS = "a,b\n" + "".join(f"{row},{row % 7}\n" for row in range(200))


@pytest.fixture
def folder(tmp_path):
    """A folder with a table and a base file whose data are nowhere."""
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "base.yaml").write_text(f"data: nowhere/\n{REST}")
    (tmp_path / "windows.yaml").write_text(f"data: {{path: elsewhere.csv, window: {{length: 8, stride: 2}}}}\n{REST}")
    return tmp_path


def kind(folder, text, *settings):
    """The type of the data of a spec without errors."""
    loaded = load(folder / "spec.yaml", settings, text=text)
    assert [found.message for found in loaded.errors] == []
    return loaded.spec.data


@pytest.mark.parametrize(("text", "settings", "wanted"), [
    ("extends: base.yaml\n", ["data=digits"], "digits"),
    ("extends: base.yaml\ndata: digits\n", [], "digits"),
    ("extends: base.yaml\n", ["data.path=rows.csv"], "table"),
    ("extends: base.yaml\ndata: {window: 8}\n", ["data.path=rows.csv"], "series"),
    ("extends: base.yaml\ndata: {type: series, window: 8}\n", ["data.path=rows.csv"], "series"),
    (f"data: rows.csv\n{REST}", ["data.window=8"], "series"),
    (f"data: rows.csv\n{REST}", ["data={type: digits}"], "digits"),
    (f"data: digits\n{REST}", ["data=rows.csv"], "table"),
    ("extends: windows.yaml\ndata: rows.csv\n", [], "series"),
    ("extends: windows.yaml\ndata: {window: null, path: rows.csv}\n", [], "table"),
    ("extends: windows.yaml\ndata: {type: wine}\n", [], "wine"),
])
def test_the_kind_of_data_is_told_after_everything_is_merged(folder, text, settings, wanted):
    assert kind(folder, text, *settings).variant_name() == wanted


def test_own_data_replace_a_known_set_and_keep_what_is_said_of_own_data(folder):
    (folder / "known.yaml").write_text(f"data: {{type: digits, pad: 1}}\n{REST}")
    assert kind(folder, "extends: known.yaml\ndata: rows.csv\n").variant_name() == "table"
    assert kind(folder, "extends: windows.yaml\ndata: rows.csv\n").window.stride == 2


def test_a_path_in_a_base_file_is_relative_to_the_spec(folder):
    (folder / "bases").mkdir()
    (folder / "bases" / "table.yaml").write_text(f"data: rows.csv\n{REST}")
    assert kind(folder, "extends: bases/table.yaml\n").variant_name() == "table"


def test_an_endless_chain_is_refused(folder):
    for number in range(3000):
        (folder / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    loaded = load(folder / "0.yaml")
    assert [error.code for error in loaded.errors] == ["AE115"]
    assert loaded.error is SpecError
    for number in range(2970, 3000):
        (folder / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    (folder / "3000.yaml").write_text(REST)
    assert load(folder / "2970.yaml").errors == []


@pytest.mark.parametrize("text", [
    'extends: "a\\0b.yaml"\n', f'data: {{path: "a\\0b.csv"}}\n{REST}', f'data: {{type: table, path: "a\\0b.csv"}}\n{REST}',
    f'data: "a\\0/b.csv"\n{REST}'])
def test_a_nul_byte_in_a_path_is_refused(folder, text):
    assert [error.code for error in load(folder / "spec.yaml", text=text).errors] in (["AE111"], ["AE401"])


def test_a_spec_with_a_nul_byte_in_its_name_is_refused():
    loaded = load("a\0b.yaml")
    assert [error.code for error in loaded.errors] == ["AE111"]
    assert loaded.error is UsageError


@pytest.mark.parametrize("setting", [".".join("a" * 5000) + "=1", f"encoder.{'9' * 5000}=1", f"encoder.{'9' * 5000}.width=1",
                                     "encoder.\u0663=1", f"encoder.0.width={'9' * 5000}"])
def test_settings_that_lead_nowhere_are_refused(folder, setting):
    loaded = load(folder / "spec.yaml", [setting], text=f"data: digits\n{REST}")
    assert {error.code for error in loaded.errors} <= {"AE110", "AE101", "AE032"}
    assert loaded.errors
    assert loaded.error is SpecError


def make(what, path):
    """A file that is none: a pipe without a writer, a socket, a folder, or a link to a device."""
    if what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("what", ["pipe", "socket", "folder", "device"])
def test_only_regular_files_are_read(folder, what, monkeypatch):
    monkeypatch.chdir(folder)
    make(what, folder / "odd.yaml")
    loaded = load("odd.yaml")
    assert [error.code for error in loaded.errors] == ["AE111"]
    assert loaded.error is UsageError
    assert "not a regular file" in loaded.errors[0].message
    extending = load(folder / "spec.yaml", text="extends: odd.yaml\n")
    assert ([error.code for error in extending.errors], extending.error) == (["AE111"], SpecError)


@pytest.mark.parametrize(("name", "write", "wanted"), [
    ("two.npz", lambda path: np.savez(path, a=np.zeros((9, 4)), b=np.zeros((9, 4))), "data: {path: two.npz, array: a}"),
    ("colours", lambda path: pictures(path, "L", "RGB"), "data: {path: colours/, channels: rgb}"),
])
def test_a_fix_of_the_data_parses_and_removes_its_error(tmp_path, name, write, wanted):
    write(tmp_path / name)
    word = f"{name}/" if (tmp_path / name).is_dir() else name
    loaded = load(tmp_path / "spec.yaml", text=f"data: {word}\n{REST}")
    found = loaded.errors
    if not found:                                 # only seen when all images are read
        with pytest.raises(DataError) as raised:
            load_splits(loaded.spec.data, Where(tmp_path))
        found = [with_data(raised.value.diagnostics[0], Tree({"path": Tree(word, loaded.spec.place("data"))}, loaded.spec.place("data")))]
    assert "AE4" in found[0].code
    assert found[0].fix is not None
    assert found[0].fix in (wanted, wanted.partition(", ")[2].rstrip("}"))
    load_splits(load(tmp_path / "spec.yaml", text=f"{wanted}\n{REST}").spec.data, Where(tmp_path))


def pictures(folder, *modes):
    """A folder of small images, a few of each mode."""
    folder.mkdir()
    for number, mode in enumerate(mode for mode in modes for _ in range(150)):
        Image.new(mode, (5, 4)).save(folder / f"{number:04}.png")
