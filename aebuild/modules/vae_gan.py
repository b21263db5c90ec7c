"""A critic whose features measure the reconstruction."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.critics import JUDGED, Critic, fooled
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.stage import taken


class FeatureCritic(Critic):
    """The critic of a VAE/GAN (Larsen et al., 2016).

    `depth` is how many steps of the network stand in front of the features that are compared.
    """

    def __init__(self, network: nn.Module, form: str, depth: int, **options: Any) -> None:
        super().__init__(network, "output", form, **options)
        self.depth = depth

    def losses(self, name: str) -> dict[str, LossFunction]:
        """The decoder's term, the critic's own, and the distance of features."""
        return {**super().losses(name), f"{name}_features": self.distance}

    def fool(self, outputs: Outputs) -> Tensor:
        """Verdicts on what the decoder makes of codes and of draws; no gradient reaches the codes, [N]."""
        assert outputs.parameters_of is not None, "nothing was decoded in this pass"
        params, drawn = outputs.parameters_of(outputs.code.value.detach()), outputs.decoded(outputs.drawn())
        term = fooled(self.verdict(outputs.mean_of(params), outputs), self.form) + fooled(self.verdict(drawn, outputs), self.form)
        return self.weighed(term, params, outputs)

    def tell_apart(self, outputs: Outputs) -> Tensor:
        """[N]."""
        with torch.no_grad():
            drawn = outputs.decoded(outputs.drawn())
        return super().tell_apart(outputs) + JUDGED[self.form](self.verdict(drawn, outputs), real=False)

    def distance(self, outputs: Outputs) -> Tensor:
        """Half the squared distance of the features of reconstruction and data, [N, ...]."""
        return (self.features(outputs.reconstruction, outputs) - self.features(outputs.target, outputs)).square() / 2

    def features(self, x: Tensor, outputs: Outputs) -> Tensor:
        """What the hidden layer says of x, [N, ...]."""
        for step in islice(self.network.children(), self.depth):
            x = taken(step, x, outputs.context)
        return x
