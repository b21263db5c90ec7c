"""A checkpoint: a folder of safetensors and JSON whose every byte is verified, and never a pickle."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from aebuild.trainer.checkpoints.reader import WHOLE, CheckpointReader, Damaged
from aebuild.trainer.run_dir.atomic_files import replace_synced, sync_folder, write_synced
from aebuild.trainer.run_dir.records import BestState, Malformed, StateRecord, decoded, held


def pack(value: Any, tensors: dict[str, Tensor], path: str = "state") -> Any:
    """The JSON form of a nested state; its tensors go into `tensors` under their paths.

    What JSON has no word for is a one-key mapping that begins with `~`: tuples, mappings with keys that are not text,
    counters, and numbers that are not finite. TypeError for anything else.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"~float": repr(float(value))}
    if isinstance(value, Tensor):
        tensors[path] = value
        return {"~tensor": path}
    if isinstance(value, dict):
        return _pack_mapping(value, tensors, path)
    if isinstance(value, list | tuple):
        items = [pack(item, tensors, f"{path}.{index}") for index, item in enumerate(value)]
        return {"~tuple": items} if isinstance(value, tuple) else items
    raise TypeError(f"{path} is a {type(value).__name__}, which a checkpoint cannot hold")


def _pack_mapping(value: dict[Any, Any], tensors: dict[str, Tensor], path: str) -> Any:
    packed = {key: pack(item, tensors, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, Counter):
        return {"~counter": list(map(list, packed.items()))}
    if all(isinstance(key, str) and not key.startswith("~") for key in packed):
        return packed
    return {"~pairs": [[pack(key, tensors, path), item] for key, item in packed.items()]}


def unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The nested state that `pack` took apart."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (word, inner), = value.items()
        match word:
            case "~float":
                return float(inner)
            case "~tensor":
                return tensors[inner]
            case "~tuple":
                return tuple(unpack(item, tensors) for item in inner)
            case "~counter":
                return Counter(dict(inner))
            case "~pairs":
                return {unpack(key, tensors): unpack(item, tensors) for key, item in inner}
    return {key: unpack(item, tensors) for key, item in value.items()}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: the model's tensors, the trainer's tensors and a JSON state."""

    model: dict[str, Tensor]
    state: dict[str, Any]
    trainer: dict[str, Tensor] = field(default_factory=dict)


def write_folder(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the files, then the manifest, and waits for the disk; OSError if it cannot."""
    folder.mkdir(parents=True)
    seals = {"model.safetensors": write_tensors(folder / "model.safetensors", checkpoint.model)}
    if checkpoint.trainer:
        seals["trainer.safetensors"] = write_tensors(folder / "trainer.safetensors", checkpoint.trainer)
    seal_folder(folder, {"state.json": checkpoint.state}, seals, WHOLE)


def seal_folder(folder: Path, documents: Mapping[str, Any], seals: Mapping[str, Any], number: int) -> None:
    """Writes JSON documents beside files that are sealed and waits for the disk; then the manifest appears, whole at once."""
    seals = dict(seals)
    for name, value in documents.items():
        data = _json(value)
        write_synced(folder / name, data)
        seals[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    sync_folder(folder)
    replace_synced(folder / "manifest.json", _json({"format": number, "files": seals}))


def read_folder(folder: Path) -> Checkpoint:
    """Reads a checkpoint folder, whole or in pieces, and verifies every byte; Damaged if anything differs."""
    stored = CheckpointReader(folder)
    if stored.in_pieces:
        stored.verify()
        return Checkpoint(stored.tensors("model"), stored.document("state.json"), stored.tensors("trainer"))
    files = {name: stored.read(name) for name in stored.names}
    try:
        trainer = files.get("trainer.safetensors")
        return Checkpoint(safetensors.torch.load(files["model.safetensors"]), decoded(files["state.json"], "state.json"),
                          safetensors.torch.load(trainer) if trainer is not None else {})
    except (safetensors.SafetensorError, ValueError) as error:
        raise Damaged(f"it cannot be decoded: {error}") from error


def read_training(folder: Path) -> Checkpoint:
    """A `step-N` or `best-N` as `read_folder` gives it, and its state what its name says; Damaged if not."""
    checkpoint = read_folder(folder)
    check_state(folder.name, checkpoint)
    return checkpoint


def check_state(name: str, checkpoint: Checkpoint) -> None:
    """Damaged if the state is not that of a checkpoint of this name."""
    kind, step = name.rsplit("-", 2)[-2:]
    try:
        if kind.endswith("best"):
            held(BestState, checkpoint.state, "state.json")
            return
        state = held(StateRecord, unpack(checkpoint.state, checkpoint.trainer), "state.json")
    except (Malformed, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(str(error) if isinstance(error, Malformed) else f"state.json is not what aebuild writes: {error!r}") from error
    if state.progress.total != int(step):
        raise Damaged(f"it holds the state of batch {state.progress.total:,}")


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
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
