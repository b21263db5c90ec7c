"""A trained run whose codes are to be learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import Penalty

if TYPE_CHECKING:
    from torch import nn


class Teacher(Penalty):
    """The squared distance of codes from those of another run's encoder (distillation, Hinton et al., 2015).

    A light encoder learns the codes of a heavy one and takes over its decoder (`start` with `parts: [decoder]`, `freeze`). Both have seen
    data of the same type, scaled alike, and codes of one type; of a variational code the mean is compared. The teacher is needed
    while a model is trained, and not afterwards, so the term is no part of an evaluation.
    """

    type: Literal["teacher"] = "teacher"
    key = "distillation"
    optional = True
    unit = "squared distance from the teacher's code"
    also = ("distill", "knowledge_distillation", "student")
    example = ("losses: {distillation: {run: runs/heavy, weight: 0.5}}\n"
               "train: {batch_size: 10, steps: 4}")
    foreign = {**Penalty.foreign, "from": "run", "teacher": "run"}
    run: str = knob(..., "a run directory, relative to the spec; its kept encoder teaches", examples=["runs/heavy"], affects="loss")

    @property
    def teacher(self) -> str | None:
        """The run."""
        return self.run

    def located(self, base: Path) -> Self:
        """With an absolute path."""
        return self.but(run=str((base / self.run).absolute()))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.distillation import Distillation

        return Distillation()
