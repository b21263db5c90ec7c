"""A sparse code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.collectives import mean
from aebuild.modules.dictionary import TiedProjection, columns_of, dictionary_of
from aebuild.modules.latent import Latent
from aebuild.modules.losses import LossFunction
from aebuild.modules.priors import Prior
from aebuild.modules.recording import recording
from aebuild.modules.revival import Renewed, Resampling, Revival
from aebuild.modules.sparse_codes import Sparsifier
from aebuild.modules.stage import learning, taken


class SparseLatent(Latent):
    """A projection of which few units are active, [N, *shape]: what `activation` leaves of it.

    With `centred` the bias of the decoder's linear map is subtracted from what is projected. The projection may begin as the
    `transposed` map, or be it (a TiedProjection). With `streams` what is decoded are so many beside each other, and the term `stream_l1`
    weighs a unit by the norms of its directions in them.
    """

    projection: Any             # the last of `steps`

    def __init__(self, steps: Mapping[str, nn.Module], activation: Sparsifier, prior: Prior, revive: Revival | None = None, *,
                 centred: bool = False, transposed: bool = False, streams: int | None = None) -> None:
        super().__init__(steps, prior)
        self.activation, self.revive = activation, revive
        self.centred, self.transposed, self.streams = centred, transposed, streams
        moves = revive is not None and revive.moves
        self.shardable = not (centred or moves or streams is not None or isinstance(self.projection, TiedProjection))
        self.renewed: list[Renewed] = []                        # weights that the last pass put elsewhere, for optimisers to forget
        self._dictionary: tuple[nn.Linear, ...] = ()            # in a tuple it is no part of this module

    @torch.no_grad()
    def meet(self, decoder: nn.Module) -> None:
        """Takes from the decoder what is shared with it."""
        tied = isinstance(self.projection, TiedProjection)
        if not (self.centred or self.transposed or tied or self.streams is not None or (self.revive is not None and self.revive.moves)):
            return
        linear = dictionary_of(decoder)
        self._dictionary = (linear,)
        if tied:
            self.projection.follow(linear)
        elif self.transposed:
            self.projection.weight.copy_(columns_of(linear).T)

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """The code, with the mean number of active units as `l0`, and where dead units are counted their share as `dead`."""
        for name in self.order[:-1]:
            h = taken(self.get_submodule(name), h, {} if context is None else context)
        if self.centred:
            h = h - self._dictionary[0].bias
        if isinstance(self.revive, Resampling) and self.training and learning():
            self.renewed = self._resampled(h, self.revive) if self.revive.due() else []
        pre = self.projection(h)
        value, terms, beside = self.activation(pre, self.projection.bias)
        if not self.training and recording():
            return Code(value)
        if self.streams is not None:
            terms = {**terms, "stream_l1": value.abs() * self.stream_norms()}
        metrics = {"active": mean((value.detach() != 0).float().flatten(1).sum(1)) * (self.units / value[0].numel())}
        if self.revive is not None:
            if self.training:
                self.revive.watch(value)
            beside = {**beside, **self.revive.beside(pre)}
            metrics["dead"] = self.revive.dead.float().mean()
        return Code(value, terms, metrics, beside=beside)

    def stream_norms(self) -> Tensor:
        """The sum over the streams of the norms of each unit's directions, [D] (Lindsey et al., 2024)."""
        columns = columns_of(self._dictionary[0])                            # (streams·d, D)
        norms: Tensor = columns.view(self.streams or 1, -1, self.units).norm(dim=1).sum(0)
        return norms

    @torch.no_grad()
    def _resampled(self, h: Tensor, revive: Resampling) -> list[Renewed]:
        linear, taught = self._dictionary[0], self.activation.training
        self.activation.eval()
        back = linear(self.activation(self.projection(h), self.projection.bias)[0])
        self.activation.train(taught)
        error = (h + (linear.bias if self.centred else 0) - back).square().sum(-1)
        return revive.renew(h, error, self.projection, linear, self.activation.beginnings())

    @property
    def units(self) -> int:
        """Units of a place."""
        return int(self.projection.bias.shape[0])

    def losses(self) -> dict[str, LossFunction]:
        """Those of its parts besides."""
        more = {} if self.revive is None else self.revive.losses()
        return {**super().losses(), **self.activation.losses(), **more}
