"""Checkpoints: verified folders of safetensors and JSON, replaced without ever being absent."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Rule
from aebuild.trainer.durable import storing, sync_folder, write_synced

FORMAT = 1
NO_CHECKPOINT = Rule("AE503", "no checkpoint can be trusted", """
Every checkpoint carries the size and the SHA-256 of its files. A file that is missing, cut short or changed in a single
bit makes the whole checkpoint unusable, because a flipped bit in a weight is silent. Of every checkpoint the one before
it is kept; here neither passed. If the run was copied, copy it again from its source; otherwise train anew.

```console
$ aebuild train --resume runs/vae-20260102-030405     # every checkpoint is damaged: refused
$ aebuild train specs/vae.yaml                        # a new run
```
""")


class Damaged(Exception):
    """A checkpoint folder that is incomplete or was changed; the message says how."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: the model's tensors, the trainer's tensors and a JSON state."""

    model: dict[str, Tensor]
    state: dict[str, Any]
    trainer: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """A verified checkpoint, its folder's name, and why better ones were passed over."""

    checkpoint: Checkpoint
    name: str
    passed_over: tuple[str, ...] = ()


def write_folder(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the files, then the manifest, and waits for the disk; OSError if it cannot."""
    files = {"model.safetensors": _serialise(checkpoint.model), "state.json": _json(checkpoint.state)}
    if checkpoint.trainer:
        files["trainer.safetensors"] = _serialise(checkpoint.trainer)
    folder.mkdir(parents=True)
    for name, data in files.items():
        write_synced(folder / name, data)
    seals = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in sorted(files.items())}
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


def _serialise(tensors: Mapping[str, Tensor]) -> bytes:
    """Bytes in the safetensors format; tensors that share memory are written each in full."""
    seen: set[int] = set()
    plain = {}
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        memory = own.untyped_storage().data_ptr()
        plain[name] = own.clone() if memory in seen else own
        seen.add(memory)
    return safetensors.torch.save(plain, {"format": "pt"})


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


class Checkpoints:
    """The checkpoints of a run: `best` and `last`, and of each the one before it.

    A new one is written beside the old one as .new-NAME, then names are changed: NAME becomes NAME-before, the new one
    becomes NAME. Whenever the process dies, at least one verified folder of a name that was ever saved is left.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """Makes this the checkpoint of that name; ResourceError if the disk refuses, the old one stays whole then."""
        fresh, old, before = (self.folder / word for word in (f".new-{name}", name, f"{name}-before"))
        with storing(old):
            try:
                shutil.rmtree(fresh, ignore_errors=True)
                write_folder(fresh, checkpoint)
            except OSError:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
            if old.exists():
                if before.exists():
                    shutil.rmtree(before)
                old.rename(before)
            fresh.rename(old)
            sync_folder(self.folder)

    def has(self, name: str) -> bool:
        """True if a checkpoint of that name was ever completed."""
        return any((self.folder / word).is_dir() for word in (name, f"{name}-before"))

    def load(self, *names: str) -> Loaded:
        """The first of these that passes verification, each followed by its neighbours: the one before, one not yet named.

        CheckpointError if none does; the damaged ones are named in either case.
        """
        passed_over: list[str] = []
        for name in (word for wanted in names for word in (wanted, f"{wanted}-before", f".new-{wanted}")):
            folder = self.folder / name
            if not folder.is_dir():
                continue
            try:
                return Loaded(read_folder(folder), name, tuple(passed_over))
            except Damaged as damage:
                passed_over.append(f"{folder} is damaged: {damage}")
        message = "; ".join(passed_over) or f"{self.folder} holds no checkpoint"
        raise CheckpointError(Diagnostic(NO_CHECKPOINT, message, fix="copy the run again from its source, or train anew"))
