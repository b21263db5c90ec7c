"""A program that somebody else trained as a layer: TorchScript, or what torch.export wrote."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aebuild.modules.feature_programs import program_of

TRIED = 3             # samples, so that a program for one or two alone is found out


@dataclass(frozen=True)
class ProgramFacts:
    """What is known of a program for samples of one shape: its tensors by name, what it gives for a sample, and its cost in MACs."""

    parameters: dict[str, tuple[int, ...]]
    buffers: dict[str, tuple[int, ...]]
    output: tuple[int, ...]
    macs: int


@lru_cache(8)
def facts_of(path: str, sha256: str | None, changed: float, shape: tuple[int, ...]) -> ProgramFacts:
    """Tries a program on a few samples [N, *shape] of zeros, once for each time that its file has `changed`.

    ValueError as `program_of` has it, or if the program does not take such samples.
    """
    program = program_of(path, sha256)
    kept = set(program.state_dict())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        found = applied(program, torch.zeros(TRIED, *shape), path)
    return ProgramFacts({name: tuple(held.shape) for name, held in program.named_parameters()},
                        {name: tuple(held.shape) for name, held in program.named_buffers() if name in kept},
                        tuple(found.shape[1:]), counter.get_total_flops() // 2 // TRIED)


def applied(program: nn.Module, x: Tensor, path: str) -> Tensor:
    """What a program makes of samples [N, ...]; ValueError if it does not take them, or does not give one tensor [N, ...]."""
    try:
        found: Any = program(x)
    except Exception as error:          # a foreign program: whatever it raises is what is to be told
        last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ValueError(f"the program in {path} does not take samples of {tuple(x.shape)}: {last[0]}") from error
    while isinstance(found, list | tuple) and len(found) == 1:
        found = found[0]
    if not isinstance(found, Tensor) or found.ndim < 2 or found.shape[0] != x.shape[0] or not found.is_floating_point():
        told = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"the program in {path} gives {told} for {tuple(x.shape)}, and one tensor with a row a sample is wanted")
    return found


class Pretrained(nn.Module):
    """The program as it is, [N, ...] to [N, ...]; frozen or trained further. Its file is read when the model is built."""

    cpu_replicas = False          # a program that somebody else wrote may hold what threads must not share

    def __init__(self, path: str, sha256: str | None, freeze: bool) -> None:
        super().__init__()
        self.path = path
        self.program = program_of(path, sha256)
        for weight in self.program.parameters():
            weight.requires_grad_(not freeze)

    def train(self, mode: bool = True) -> Pretrained:
        """A program stays as it was written: an exported one has one mode alone."""
        self.training = mode
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Pretrained:
        """The same of all its weights, which TorchScript does not do itself."""
        for weight in self.parameters():
            weight.requires_grad_(requires_grad)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to [N, ...]."""
        for module in self.program.modules():
            module.training = False             # whatever the mode of the whole is
        return applied(self.program, x, self.path)
