"""Vectors drawn from a known dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe, plural
from aebuild.lang.dataset import DataInfo, Divided, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.raw_samples import Raw


class Activations(Sampled, Divided):
    """Vectors that are sums of few of many known directions, as the activations of a language model are thought to be.

    Drawn by a program, no file is needed (Sharkey, Braun and Millidge, 2022): more directions than values, each of norm 1, `active` of
    them in a sample on average. The task `dictionary` says how many of them a sparse code has found.
    """

    type: Literal["activations"] = "activations"
    example = ("data: {type: activations, samples: 60, values: 6, features: 10, active: 2, noise: 0.05, seed: 1, limit: 30}\n"
               "encoder: []\n"
               "latent: {type: continuous, dim: 4}")
    also = ("superposition", "toy_model", "sparse_sums")
    samples: int = knob(10_000, "how many vectors are drawn, for all splits together", affects="data", ge=1, le=10_000_000)
    values: int = knob(32, "values of a vector", affects="data", ge=2, le=4096)
    features: int = knob(64, "directions that the vectors are sums of", affects="data", ge=2, le=65_536)
    active: float = knob(3.0, "directions in a vector, on average", affects="data", gt=0)
    noise: float = knob(0.0, "deviation of what is added to each value", affects="data", ge=0)
    seed: int = knob(0, "seed of directions, strengths and noise", affects="data", ge=0, lt=2**32)

    def probe(self, where: Where) -> DataInfo:
        """Known without drawing."""
        return describe(self, self._outline)

    def read(self, where: Where) -> Raw:
        """Vectors [n, values]."""
        from aebuild.data.axes import Layout
        from aebuild.data.drawn_activations import draw_activations
        from aebuild.data.raw_samples import Raw, Stored

        drawn = draw_activations(self.samples, self.dictionary(), self.active, self.noise, self.seed)
        return Raw(self._outline, {"train": Stored(drawn, Layout(self._outline.value), "activations", word="vector")})

    def dictionary(self) -> NDArray[np.float32]:
        """The directions, [features, values]."""
        from aebuild.data.drawn_activations import drawn_dictionary

        return drawn_dictionary(self.features, self.values, self.seed)

    def usual_scale(self, value: Value) -> str:
        """As they are: directions keep their angles."""
        return "none"

    @property
    def _outline(self) -> Outline:
        return Outline(Vector(self.values), {"train": self.samples},
                       f"activations: {plural(self.samples, 'vector')} of {self.values} values, sums of {self.active:g} of "
                       f"{self.features:,} directions on average; no file needed")
