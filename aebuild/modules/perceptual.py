"""Distance of target and reconstruction in the features of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from aebuild.modules.feature_programs import program_of
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs

SMALL_FEATURE = 1e-10


class Perceptual(Loss):
    """The squared distance of features that are brought to length 1 over their channels (as LPIPS has it, Zhang et al., 2018).

    The program in the file at `path` takes images [N, C, H, W] to features [N, F, ...], or to a list of such for several layers, whose
    distances are added. It is read when it is first needed, and no part of the model: nothing of it is trained or saved. `sha256` is
    what its file must have, where that is known.
    """

    cpu_replicas = False          # a program that somebody else wrote may hold what threads must not share

    def __init__(self, path: str, sha256: str | None = None) -> None:
        super().__init__()
        self.path, self.sha256 = path, sha256
        self._held: tuple[Callable[[Tensor], Any], torch.device] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": None}

    def loss(self, outputs: Outputs) -> Tensor:
        """[N]."""
        return self(outputs.target, outputs.reconstruction)  # type: ignore[no-any-return]

    def ready(self, target: Tensor) -> None:
        """Tries the program on these samples; ValueError as `forward` has it."""
        with torch.no_grad():
            self(target, target)

    def forward(self, target: Tensor, other: Tensor) -> Tensor:
        """[N, ...] twice to [N]; ValueError as `program` has it, or if the program does not take such samples."""
        with torch.no_grad():
            wanted = self._features(target)
        given = self._features(other)
        return torch.stack([self._apart(x, y) for x, y in zip(given, wanted, strict=True)]).sum(0)

    @staticmethod
    def _apart(x: Tensor, y: Tensor) -> Tensor:
        """Features [N, F, ...] twice to [N]: summed over the features, the mean over places."""
        x, y = (each / (each.square().sum(1, keepdim=True) + SMALL_FEATURE).sqrt() for each in (x, y))
        return (x - y).square().sum(1).flatten(1).mean(1) if x.ndim > 2 else (x - y).square().sum(1)

    def _features(self, x: Tensor) -> list[Tensor]:
        try:
            found = self.program(x.device)(x)
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise ValueError(f"the program in {self.path} does not take samples of {tuple(x.shape)}: {last}") from error
        layers = list(found) if isinstance(found, list | tuple) else [found]
        if not layers or not all(isinstance(each, Tensor) and each.ndim > 1 and len(each) == len(x) for each in layers):
            raise ValueError(f"the program in {self.path} gives no features [N, F, ...] for {len(x)} samples")
        return layers

    def program(self, device: torch.device) -> Callable[[Tensor], Any]:
        """The program on that device; ValueError if its file is not there, is another one, or holds no program."""
        if self._held is None or self._held[1] != device:
            loaded = program_of(self.path, self.sha256)
            for weight in loaded.parameters():
                weight.requires_grad_(False)
            object.__setattr__(self, "_held", (loaded.to(device), device))
        assert self._held is not None
        return self._held[0]
