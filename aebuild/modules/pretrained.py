"""A program that somebody else trained as a layer: TorchScript, or what torch.export wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.feature_programs import program_of


@dataclass(frozen=True)
class ProgramFacts:
    """What is known of a program without running it: its tensors by name, and shapes [N, ...] of what it takes and gives.

    TorchScript does not say the shapes; a size that may be any is None.
    """

    parameters: dict[str, tuple[int, ...]]
    buffers: dict[str, tuple[int, ...]]
    takes: tuple[int | None, ...] | None = None
    gives: tuple[int | None, ...] | None = None


@lru_cache(8)
def facts_of(path: str, sha256: str | None, changed: float) -> ProgramFacts:
    """What a program is, read once for each time that its file has `changed`; ValueError as `program_of` has it."""
    program = program_of(path, sha256)
    parameters = {name: tuple(held.shape) for name, held in program.named_parameters()}
    buffers = {name: tuple(held.shape) for name, held in program.named_buffers() if name in program.state_dict()}
    graph = getattr(program, "graph", None)
    if not isinstance(graph, torch.fx.Graph):
        return ProgramFacts(parameters, buffers)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    outputs = [node.args[0] for node in graph.nodes if node.op == "output"]
    given = outputs[0] if outputs else None
    while isinstance(given, list | tuple) and len(given) == 1:
        given = given[0]
    if len(inputs) != 1 or not isinstance(given, torch.fx.Node):
        raise ValueError(f"{path} takes {len(inputs)} arguments, and one tensor must become one")
    return ProgramFacts(parameters, buffers, _shape(inputs[0]), _shape(given))


def _shape(node: torch.fx.Node) -> tuple[int | None, ...] | None:
    held = node.meta.get("val")
    return tuple(size if isinstance(size, int) else None for size in held.shape) if isinstance(held, Tensor) else None


class Pretrained(nn.Module):
    """The program as it is, [N, ...] to [N, *output]; frozen or trained further. Its file is read when the model is built."""

    cpu_replicas = False          # a program that somebody else wrote may hold what threads must not share

    def __init__(self, path: str, sha256: str | None, output: Sequence[int], freeze: bool) -> None:
        super().__init__()
        self.path, self.output = path, tuple(output)
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
        """ValueError if the program does not take such samples, or gives others than was said."""
        for module in self.program.modules():
            module.training = False             # whatever the mode of the whole is
        try:
            found: Any = self.program(x)
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise ValueError(f"the program in {self.path} does not take samples of {tuple(x.shape)}: {last}") from error
        while isinstance(found, list | tuple) and len(found) == 1:
            found = found[0]
        if not isinstance(found, Tensor) or tuple(found.shape) != (len(x), *self.output):
            told = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"the program in {self.path} gives {told}, not {(len(x), *self.output)}")
        return found
