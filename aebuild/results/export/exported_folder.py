"""A folder that `aebuild export` wrote, taken up again in the place of a run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.trainer.run_dir.records import Name, Record, Seal, record_in

if TYPE_CHECKING:
    from torch import Tensor

DAMAGED = Rule("AE521", "an exported folder that is not whole", """\
`aebuild export` writes a manifest with the size and hash of every file. Here a file is missing or is another one than was written, as
after a copy that was cut short; none of it is taken.

```console
$ aebuild encode vae photos/          # one of its files was changed: refused
$ aebuild pull someone/vae -o vae --force
```
""")
NEEDED = ("manifest.json", "spec.yaml", "data.json", "model.safetensors")


class ExportRecord(Record):
    """`manifest.json` of an exported folder."""

    name: str
    weights: str
    files: dict[Name, Seal]


def is_exported(folder: Path) -> bool:
    """True for an exported folder with the whole model; a run has a plan.json."""
    return all((folder / name).is_file() for name in NEEDED) and not (folder / "plan.json").exists()


def check_exported(folder: Path) -> ExportRecord:
    """The manifest; CheckpointError if a file that it names is absent or another one."""
    record = record_in(folder / "manifest.json", ExportRecord)
    for name in dict.fromkeys((*NEEDED[1:], *record.files)):
        path, seal = folder / name, record.files.get(name)
        if seal is None or not path.is_file() or path.stat().st_size != seal.bytes:
            raise _damaged(path)
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != seal.sha256:
                raise _damaged(path)
    return record


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(Diagnostic(DAMAGED, f"{path} is not the file that was exported", fix=Hint("copy or pull the folder again")))


def exported_weights(folder: Path) -> tuple[dict[str, Tensor], str]:
    """The model's tensors, and the name of the checkpoint that they were; CheckpointError if the folder is not whole."""
    from safetensors.torch import load_file

    record = check_exported(folder)
    return load_file(folder / "model.safetensors"), record.weights
