"""Telling the kind of data from a path."""

from __future__ import annotations

import os
from collections.abc import Collection
from itertools import islice
from pathlib import Path

from aebuild.data.errors import absent, fault, path_fix, reading, regular_file, shown
from aebuild.data.formats import columnar
from aebuild.data.formats.idx import looks_idx
from aebuild.data.npz_keys import SAMPLE_WORDS, split_name
from aebuild.data.probe import plural
from aebuild.data.rules import UNKNOWN_KIND
from aebuild.lang.diagnostics import Hint
from aebuild.lang.regular_files import open_regular

ACCEPTED = ("a folder of images (or of one folder a class), .npz, .npy, .safetensors, .h5 or a folder of named .npy arrays, "
            "a folder of .npy or .safetensors files of vectors, "
            "IDX files or a folder of them, .csv, .tsv, .parquet, .arrow, .feather or a folder of the last "
            "three, .tar or a folder of them, .txt or .jsonl texts, a folder of .wav, .flac or .ogg recordings")
ARRAYS = (".npz", ".npy", ".safetensors", ".h5", ".hdf5")
TABLES = (".csv", ".tsv", *columnar.ENDINGS)
TEXTS = (".txt", ".jsonl", ".ndjson")
TEXT_KEYS = {"column", "unit", "samples"}          # of tables that are read as texts
SERIES_KEYS = {"window", "group"}                  # of arrays and tables that are read as series
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill", ".sav")
MOST_LISTED = 10_000
ONE_ARRAY = "numpy.save of one array [N, ...], made by numpy.stack; series of unequal length into one table with a column for `group`"
ONE_TABLE = "one table of all rows (for series, with a column for `group`), or each saved as .parquet or .arrow"


def is_path(word: str) -> bool:
    """True for a bare word that means a path: one with a slash or a dot."""
    return "/" in word or "." in word or os.sep in word


def detect(path: str, base: Path, keys: Collection[str] = ()) -> str:
    """The dataset variant for a path, relative to `base`; `keys` are the other keys written under `data`.

    With `window` or `group` among them, arrays and tables are series; with `column` or `unit` tables are texts.
    Nothing but names and a few bytes is read. Raises DataError.
    """
    place = base / path
    with reading(place):
        if not place.exists():
            raise absent(place, path)
        if place.is_dir():
            return _folder(place, not SERIES_KEYS.isdisjoint(keys))
    if place.suffix.lower() in TEXTS or (place.suffix.lower() in TABLES and TEXT_KEYS & set(keys)):
        regular_file(place)
        return "text"
    return _file(place, path, not SERIES_KEYS.isdisjoint(keys))


def _folder(folder: Path, windowed: bool) -> str:
    from aebuild.data.class_folders import folders_of
    from aebuild.data.formats.sound import RECORDINGS
    from aebuild.data.image_folder import IMAGES

    with reading(folder):
        names = _names(folder)
        if any(looks_idx(name) for name in names):
            return "idx"
        if any(depth < 3 for depth, _ in islice(folders_of(folder, IMAGES), 1)):
            return "images"
        if any(depth < 3 for depth, _ in islice(folders_of(folder, RECORDINGS), 1)):
            return "audio"
        if any(name.lower().endswith(".tar") for name in names):
            return "webdataset"
        if any(name.lower().endswith(columnar.ENDINGS) for name in names):
            return "series" if windowed else "table"
        if next(folders_of(folder, IMAGES), None) is not None:
            return "images"                      # which says where they should stand
    if any(split_name(name.lower().removesuffix(".npy"))[0] in SAMPLE_WORDS for name in names if name.lower().endswith(".npy")):
        return "series" if windowed else "arrays"
    shards = [name for name in names if name.lower().endswith((".npy", ".safetensors"))]
    if shards and not windowed and not any(name.lower().endswith((*TABLES, ".npz", ".h5", ".hdf5")) for name in names):
        return "vector_shards"
    several = [name for name in names if name.lower().endswith((*ARRAYS, *TABLES))]
    if several:
        held = f"{plural(len(several), 'file')} like {shown(several[0])}"
        raise fault(UNKNOWN_KIND, f"{shown(folder)} holds {held}; of arrays and text tables one file holds all samples",
                    Hint(ONE_ARRAY if several[0].lower().endswith(ARRAYS) else ONE_TABLE))
    raise fault(UNKNOWN_KIND, f"{shown(folder)} is {'an empty folder' if not names else 'a folder without images, shards or IDX files'}; "
                f"accepted are {ACCEPTED}")


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as found:
        return sorted(entry.name for _, entry in zip(range(MOST_LISTED), found, strict=False) if not entry.name.startswith("."))


def _file(path: Path, written: str, windowed: bool) -> str:
    from aebuild.data.formats.images import is_image
    from aebuild.data.formats.sound import RECORDINGS

    regular_file(path)
    ending = path.suffix.lower()
    if ending in PICKLES:
        raise fault(UNKNOWN_KIND, f"{shown(path)} is a pickle, and reading one can run any program; accepted are {ACCEPTED}",
                    Hint("save its arrays with numpy.savez"))
    if is_image(path.name):
        raise fault(UNKNOWN_KIND, f"{shown(path)} is a single image; name the folder it is in", path_fix(f"{Path(written).parent}/"))
    if RECORDINGS.belongs(path.name):
        raise fault(UNKNOWN_KIND, f"{shown(path)} is a single recording; name the folder it is in", path_fix(f"{Path(written).parent}/"))
    with reading(path), open_regular(path) as file:
        start = file.read(6)
    if ending in ARRAYS or start == b"\x93NUMPY" or (start[:4] == b"PK\3\4" and ending not in TABLES and _holds_arrays(path)):
        return "series" if windowed else "arrays"
    if ending == ".tar":
        return "webdataset"
    if ending in TABLES:
        return "series" if windowed else "table"
    if looks_idx(path.name) or (start[:2] == b"\0\0" and len(start) > 3 and start[2] in (8, 9, 11, 12, 13, 14)):
        return "idx"
    raise fault(UNKNOWN_KIND, f"{shown(path)} is of no kind that is read; accepted are {ACCEPTED}")


def _holds_arrays(path: Path) -> bool:
    import zipfile

    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
