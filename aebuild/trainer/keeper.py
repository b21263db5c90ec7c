"""When and what a training saves, and how it takes up a checkpoint again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Rule
from aebuild.trainer.checkpoint import Checkpoint, Loaded
from aebuild.trainer.pack import pack, unpack

if TYPE_CHECKING:
    from aebuild.trainer.run import Run

SAVE_EVERY = 20.0      # seconds between checkpoints, or
SAVE_SHARE = 50        # this many times as long as the last one took, so that saving costs two percent at most

OTHER_MODEL = Rule("AE507", "the checkpoint does not fit the model", """
The names or shapes of the tensors in the checkpoint are not those of the model that this spec builds. The checkpoint is
undamaged, so the run was made with another spec or another version of aebuild. `environment.json` in the run tells which.

```console
$ aebuild train --resume runs/vae     # made by another version: refused
$ aebuild train specs/vae.yaml        # a new run
```
""")


class Keeper:
    """Saves `last` now and then, and before it `best` if there is a better one.

    A better model is first held in memory only: if the process dies, the resumed training finds it again.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._best: Checkpoint | None = None
        self._due = time.perf_counter() + SAVE_EVERY

    @property
    def due(self) -> bool:
        """True if the last save was long enough ago."""
        return time.perf_counter() >= self._due

    def remember_best(self, model: nn.Module, progress: dict[str, Any]) -> None:
        """Holds a copy of the model as it is."""
        self._best = Checkpoint({name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()},
                                {"progress": progress})

    def save_best(self) -> None:
        """Writes the held model, if there is one that is not written yet."""
        if self._best is not None:
            self.run.checkpoints.save("best", self._best)
            self._best = None

    def save(self, model: nn.Module, state: dict[str, Any]) -> None:
        """Writes `best` if it changed, then `last`; ResourceError if the disk refuses."""
        began = time.perf_counter()
        self.save_best()
        tensors: dict[str, Tensor] = {}
        packed = pack({**state, "journal": self.run.journal.sync()}, tensors)
        self.run.checkpoints.save("last", Checkpoint(model.state_dict(), packed, tensors))
        now = time.perf_counter()
        self._due = now + max(SAVE_EVERY, SAVE_SHARE * (now - began))

    def load(self, model: nn.Module) -> tuple[dict[str, Any], Loaded]:
        """Puts the newest good `last` into the model and returns the trainer's state and what was loaded."""
        loaded = self.run.checkpoints.load("last")
        fill(model, loaded)
        return unpack(loaded.checkpoint.state, loaded.checkpoint.trainer), loaded


def fill(model: nn.Module, loaded: Loaded) -> None:
    """Puts a checkpoint's tensors into the model; CheckpointError if they do not fit."""
    try:
        model.load_state_dict(loaded.checkpoint.model)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        message = f"checkpoint `{loaded.name}` does not fit the model: {first[0].strip()}"
        raise CheckpointError(Diagnostic(OTHER_MODEL, message, fix="use the version named in environment.json")) from error
