"""Files that hold named arrays: .npz and .npy, .safetensors, HDF5, and a folder of .npy files."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, must_fit, reading, reason_of, regular_file, shown
from aebuild.data.formats import npy
from aebuild.data.formats.npy import Member, map_array
from aebuild.data.rules import DAMAGED, EXTRA, TOO_FEW
from aebuild.lang.diagnostics import Hint

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HDF5", "SAFETENSORS", "headers", "map_array", "read_array"]

SAFETENSORS = ".safetensors"
HDF5 = (".h5", ".hdf5")
TENSORS = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32", "I64": "int64",
           "U64": "uint64", "F16": "float16", "F32": "float32", "F64": "float64"}


def headers(path: Path) -> dict[str, Member]:
    """The headers of all arrays by name; that of a single .npy has the name "". No data are read."""
    ending = path.suffix.lower()
    if _is_folder(path):
        return _of_folder(path)
    if ending == SAFETENSORS:
        return _of_tensors(path)
    return _of_hdf5(path) if ending in HDF5 else npy.headers(path)


def read_array(path: Path, member: Member) -> NDArray[Any]:
    """One array's data."""
    ending = path.suffix.lower()
    if _is_folder(path):
        return npy.read_array(path / f"{member.name}.npy", replace(member, name=""))
    if ending == SAFETENSORS:
        must_fit(member.nbytes, member.label(path))
        with _tensors(path) as file:
            found: NDArray[Any] = file.get_tensor(member.name)
            return found
    if ending not in HDF5:
        return npy.read_array(path, member)
    must_fit(member.nbytes, member.label(path))
    with _hdf5(path) as file:
        held = file[member.name]
        read: NDArray[Any] = (held.asstr()[...].astype(str) if member.dtype.kind == "U" else held[...])
        return read


def holds_arrays(path: Path) -> bool:
    """True for a file of arrays by its ending, and for a folder of .npy files."""
    return path.suffix.lower() in (".npz", ".npy", SAFETENSORS, *HDF5) or (path.is_dir() and any(path.glob("*.npy")))


def _is_folder(path: Path) -> bool:
    """True for a folder of arrays; one that is named like a file of them is a mistake."""
    return path.suffix.lower() not in (".npz", ".npy", SAFETENSORS, *HDF5) and path.is_dir()


def _of_folder(folder: Path) -> dict[str, Member]:
    with reading(folder):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".npy" and not file.name.startswith("."))
    if not files:
        raise fault(TOO_FEW, f"{shown(folder)} holds no .npy file")
    return {file.stem: replace(npy.headers(file)[""], name=file.stem) for file in files}


def _of_tensors(path: Path) -> dict[str, Member]:
    import numpy as np

    with _tensors(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}       # noqa: SIM118  # it is no mapping
        kinds = {name: str(held.get_dtype()) for name, held in slices.items()}
        for name, kind in kinds.items():
            if kind not in TENSORS:
                raise fault(DAMAGED, f"{shown(path)}, array {shown(name)} has type {shown(kind)}, which numpy does not have",
                            Hint("save it as float32"))
        return {name: Member(name, tuple(held.get_shape()), np.dtype(TENSORS[kinds[name]]), False, 0) for name, held in slices.items()}


@contextmanager
def _tensors(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    regular_file(path)
    with reading(path):
        try:
            with safe_open(path, "numpy") as file:
                yield file
        except SafetensorError as error:
            raise fault(DAMAGED, f"{shown(path)} is a damaged .safetensors file: {reason_of(error)}") from error


def _of_hdf5(path: Path) -> dict[str, Member]:
    """Datasets of numbers and words, by their path in the file; those that lie in other files are passed over."""
    import numpy as np

    found: dict[str, Member] = {}
    with _hdf5(path) as file:
        text = importlib.import_module("h5py").check_string_dtype

        def look(name: str, held: Any) -> None:
            if not hasattr(held, "dtype") or held.external or held.is_virtual:
                return
            words = text(held.dtype) is not None
            if words or held.dtype.kind in "biuf":
                found[name] = Member(name, tuple(held.shape), np.dtype("U64") if words else held.dtype, False, 0)

        file.visititems(look)
    return found


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    try:
        library: Any = importlib.import_module("h5py")
    except ImportError as error:
        raise fault(EXTRA, f"{shown(path)} needs the package h5py, which is not installed", Hint('pip install "aebuild[hdf5]"')) from error
    regular_file(path)
    try:
        with library.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise fault(DAMAGED, f"{shown(path)} is a damaged HDF5 file: {reason_of(error)}") from error
