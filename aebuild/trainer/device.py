"""Where to train, what is there, and what to say when its memory is full."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from aebuild.lang.diagnostics import Diagnostic, ResourceError, Rule
from aebuild.lang.values import elements

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan

OUT_OF_MEMORY = Rule("AE601", "out of memory", """
The memory of a training step grows with the batch: every layer keeps its output until its gradient is known. The run's
last checkpoint is whole. Train with smaller batches, or make the layer with the biggest output smaller.

```yaml
train: {batch_size: 4096}     # too much for this machine
train: {batch_size: 512}      # an eighth of the activations
```
""")
NO_GPU = Rule("AE603", "the wanted device is not there", """
`train.device: cuda` insists on a GPU that this torch can use. There may be none, its driver may be missing, or torch may
have been installed for the CPU only. `auto` takes a GPU where there is one and the CPU otherwise.

```yaml
train: {device: cuda}         # on a machine without a GPU
train: {device: auto}         # a GPU if there is one
```
""")
_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "std::bad_alloc")


def choose_device(name: str, *, option: bool = False) -> torch.device:
    """The device of `train.device`, or of the `option` --device; ResourceError where cuda is wanted and absent."""
    if name == "cuda" and not torch.cuda.is_available():
        said, fix = ("--device", "--device auto") if option else ("train.device", "train: {device: auto}")
        raise ResourceError(Diagnostic(NO_GPU, f"{said} is cuda, but torch {torch.__version__} finds no GPU here",
                                       path="" if option else "train.device", fix=fix))
    wanted = "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
    return torch.device(wanted, torch.cuda.current_device()) if wanted == "cuda" else torch.device("cpu")


def describe_device(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"


def environment(device: torch.device, seed: int) -> dict[str, Any]:
    """What a run was made with: versions, machine, device, threads and seed."""
    import numpy

    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__,
            "platform": platform.platform(), "device": str(device), "device_name": describe_device(device),
            "threads": torch.get_num_threads(), "cuda": torch.version.cuda, "seed": seed, "command": sys.argv}


def out_of_memory(error: BaseException) -> bool:
    """True if an allocation failed."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in str(error) for sign in _SIGNS)


@contextmanager
def memory_guard(plan: Plan, batch_size: int) -> Iterator[None]:
    """Turns a failed allocation into a ResourceError that names the biggest node and what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        biggest = max(plan.nodes(), key=lambda node: elements(node.output), default=None)
        where = f"; the biggest output is that of `{biggest.path}`, {biggest.output}" if biggest is not None else ""
        raise ResourceError(Diagnostic(OUT_OF_MEMORY, f"out of memory with batches of {batch_size}{where}",
                                       fix=f"train: {{batch_size: {max(1, batch_size // 4)}}}")) from error
