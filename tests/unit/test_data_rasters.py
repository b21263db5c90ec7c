"""Images are opened in raster formats only: a hostile one starts no program."""

from __future__ import annotations

import ast
import io
import tarfile
from pathlib import Path

import pytest
from data_making import load, probe_refusal, refusal
from PIL import EpsImagePlugin, Image

import aebuild
import aebuild.data.image_decoding
from aebuild.data.formats.images import ENDINGS, FORMATS

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n" + b"newpath\n" * 40 + b"%%EOF\n"
PACKAGE = Path(aebuild.__file__).parent


def put(folder: Path, contents: bytes | None = None, count: int = 4) -> None:
    """A folder of small images, the last of which has these contents."""
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    if contents is not None:
        (folder / f"{count - 1}.png").write_bytes(contents)


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once the program `gs` has been started."""
    started, program = tmp_path / "started", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho started > '{started}'\necho 10.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return started


def test_without_the_list_of_formats_the_program_is_started(ghostscript: Path) -> None:
    with pytest.raises(OSError, match=r"."), Image.open(io.BytesIO(EPS)) as image:
        image.load()
    assert ghostscript.exists()


@pytest.mark.parametrize("probed", [1, 16])
@pytest.mark.parametrize("packed", [False, True])
def test_postscript_starts_no_program(tmp_path: Path, ghostscript: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, probed: int) -> None:
    monkeypatch.setattr(aebuild.data.image_decoding, "PROBED", probed)
    monkeypatch.setattr("aebuild.data.formats.webdataset.PROBED", probed)
    put(tmp_path / "photos", EPS)
    if packed:
        with tarfile.open(tmp_path / "photos.tar", "w") as archive:
            for file in sorted((tmp_path / "photos").iterdir()):
                archive.add(file, file.name)
    wanted = ("webdataset", tmp_path) if packed else ("images", tmp_path)
    found = (refusal if probed == 1 else probe_refusal)(*wanted, path="photos.tar" if packed else "photos")
    assert found.code == "AE418"
    assert "3.png is of the format EPS/PostScript" in found.message
    assert not ghostscript.exists()


@pytest.mark.parametrize(("contents", "code", "word"), [
    (b"%PDF-1.7\n", "AE418", "PDF"), (b"\0\0\0\x1cftypheic" + bytes(40), "AE418", "HEIC"), (bytes(128) + b"DICM" + bytes(40), "AE418", "DICOM"),
    (b"\xef\xbb\xbf<svg xmlns='x'>", "AE418", "SVG"), (b"II*\0" + bytes(40), "AE403", "TIFF"), (b"what is this", "AE403", "no image")])
def test_the_format_that_was_found_is_named(tmp_path: Path, contents: bytes, code: str, word: str) -> None:
    put(tmp_path / "photos", contents)
    found = refusal("images", tmp_path, path="photos")
    assert found.code == code
    assert word in found.message


def test_every_format_of_the_list_is_read(tmp_path: Path) -> None:
    put(tmp_path / "photos", count=0)
    for ending in ENDINGS:
        Image.new("1", (8, 8), 1).save(tmp_path / "photos" / f"a{ending}")
    load("images", tmp_path, path="photos", channels="rgb")
    assert set(FORMATS) == {"PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"}


def test_every_opening_of_an_image_in_the_package_names_its_formats() -> None:
    openings = [(path, call) for path in PACKAGE.rglob("*.py") for call in calls(path)]
    assert [path.name for path, _ in openings] == ["images.py"], "open_raster is the one place"
    assert all("formats" in {word.arg for word in call.keywords} for _, call in openings)


def calls(path: Path) -> list[ast.Call]:
    """The calls of Pillow's `open`, under whatever name it was imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules, functions = {"PIL.Image"}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {name.asname for name in node.names if name.name == "PIL.Image" and name.asname}
        if isinstance(node, ast.ImportFrom) and node.module == "PIL":
            modules |= {name.asname or name.name for name in node.names if name.name == "Image"}
        if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
            functions |= {name.asname or name.name for name in node.names if name.name == "open"}
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and (
        isinstance(node.func, ast.Attribute) and node.func.attr == "open" and ast.unparse(node.func.value) in modules
        or isinstance(node.func, ast.Name) and node.func.id in functions)]
