"""Conditions that are images, series or vectors: what data have of them, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aebuild.data.conditions import LABEL, Offered
from aebuild.data.errors import fault, shown
from aebuild.data.preprocess import taken
from aebuild.data.probe import LEVELS, pictured
from aebuild.data.rules import DISAGREE
from aebuild.lang.dataset import Dataset
from aebuild.lang.samples import ConditionInfo
from aebuild.lang.values import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.raw_samples import Raw, Samples

Told = Mapping[str, Mapping[str, "Samples"]]      # of each condition, by part


@dataclass
class Beside:
    """What is told of each sample, read when it is asked for."""

    part: Dataset
    samples: Samples

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """[n, ...] after `size` and `pad`."""
        return taken(self.part, self.samples, index)


def array_condition(part: Dataset, name: str, value: Value, numbers: str) -> ConditionInfo:
    """What a condition of this type is: of bytes and pixels the range is known, other numbers are standardised over training."""
    bounds = LEVELS.get(numbers)
    shape = (pictured(part, value) if value.axes == 2 else value).shape
    if bounds is None:
        return ConditionInfo(name, "array", shape=shape)
    return ConditionInfo(name, "image", offset=bounds[0], factor=1 / (bounds[1] - bounds[0]), shape=shape)


def asked_arrays(part: Dataset) -> tuple[str, ...]:
    """The conditions that can be arrays, by name."""
    return tuple(name for name in part.told if name != LABEL)


def offered(infos: Mapping[str, ConditionInfo], names: tuple[str, ...]) -> Offered:
    """The conditions that are there, of all that could be."""
    return Offered(tuple(infos.values()), names)


def with_conditions(part: Dataset, raw: Raw, told: Told) -> Raw:
    """Raw samples that tell these conditions; DataError where there are not as many of them as samples."""
    for name, held in told.items():
        for where, samples in raw.x.items():
            if where not in held or len(held[where]) != len(samples):
                count = len(held[where]) if where in held else 0
                raise fault(DISAGREE, f"the {where} part has {len(samples):,} samples, and {shown(name)} {count:,}")
    if told:
        raw.conditions = lambda where: {name: Beside(part, held[where]) for name, held in told.items()}
    return raw
