"""A checkpoint: a folder of safetensors and JSON whose every byte is verified."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from aebuild.trainer.durable import sync_folder, write_synced

FORMAT = 1

class Damaged(Exception):
    """A checkpoint folder that is incomplete or was changed; the message says how."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: the model's tensors, the trainer's tensors and a JSON state."""

    model: dict[str, Tensor]
    state: dict[str, Any]
    trainer: dict[str, Tensor] = field(default_factory=dict)


def write_folder(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the files, then the manifest, and waits for the disk; OSError if it cannot."""
    folder.mkdir(parents=True)
    seals = {"model.safetensors": _write_tensors(folder / "model.safetensors", checkpoint.model)}
    if checkpoint.trainer:
        seals["trainer.safetensors"] = _write_tensors(folder / "trainer.safetensors", checkpoint.trainer)
    state = _json(checkpoint.state)
    write_synced(folder / "state.json", state)
    seals["state.json"] = {"bytes": len(state), "sha256": hashlib.sha256(state).hexdigest()}
    write_synced(folder / "manifest.json", _json({"format": FORMAT, "files": seals}))
    sync_folder(folder)


def read_folder(folder: Path) -> Checkpoint:
    """Reads a checkpoint folder and verifies every byte; Damaged if anything differs."""
    files = _verified(folder)
    if not {"model.safetensors", "state.json"} <= files.keys():
        raise Damaged("its manifest lacks the model or the state")
    try:
        trainer = files.get("trainer.safetensors")
        return Checkpoint(safetensors.torch.load(files["model.safetensors"]), json.loads(files["state.json"]),
                          safetensors.torch.load(trainer) if trainer is not None else {})
    except (safetensors.SafetensorError, ValueError) as error:
        raise Damaged(f"it cannot be decoded: {error}") from error


def _verified(folder: Path) -> dict[str, bytes]:
    seals = _seals(folder)
    files = {}
    for name, seal in seals.items():
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise Damaged(f"{name}: {error.strerror}") from error
        if len(data) != seal.get("bytes"):
            raise Damaged(f"{name} has {len(data):,} bytes instead of {seal.get('bytes'):,}")
        if hashlib.sha256(data).hexdigest() != seal.get("sha256"):
            raise Damaged(f"{name} does not have the SHA-256 of its manifest")
        files[name] = data
    return files


def _seals(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if manifest["format"] != FORMAT:
            raise Damaged(f"its format is {manifest['format']!r}, this version reads {FORMAT}")
        seals: dict[str, dict[str, Any]] = manifest["files"]
        if any(Path(name).name != name or type(seal["bytes"]) is not int for name, seal in seals.items()):
            raise ValueError("file names or sizes")
        return seals
    except OSError as error:
        raise Damaged(f"manifest.json: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged("manifest.json is not a manifest") from error


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Streams tensors to a file, waits for the disk and returns the file's seal; OSError if the disk refuses."""
    try:
        safetensors.torch.save_file(_apart(tensors), path, {"format": "pt"})
    except safetensors.SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
        return {"bytes": stream.tell(), "sha256": digest}


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in main memory; those that share memory are each in full."""
    seen: set[int] = set()
    plain = {}
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        memory = own.untyped_storage().data_ptr()
        plain[name] = own.clone() if memory in seen else own
        seen.add(memory)
    return plain


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
