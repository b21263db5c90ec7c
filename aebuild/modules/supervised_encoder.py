"""An autoencoder's encoder and latent as a network of their own, to be trained by labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class SupervisedEncoder(nn.Module):
    """Samples [N, ...], and what is `told` of each beside its values, to the code's values; the decoder is left out.

    `told` names what follows the samples, as a batch has it: `lengths` of series [N], `conditions` [N, F]. What corrupts the input in
    training does not: it is part of the other training. What corrupts it always does here too. A posterior that follows the decoder
    follows it with the weights that it has.
    """

    def __init__(self, autoencoder: Any, told: Sequence[str] = ()) -> None:
        super().__init__()
        self.told = tuple(told)
        self.encoder, self.latent = autoencoder.encoder, autoencoder.latent
        model = autoencoder.eval()
        self._corrupt, self._code_of = model.corrupt, model.code_of          # bound methods, so that the decoder is no child

    def forward(self, x: Tensor, *told: Tensor) -> Tensor:
        """The code's values, of a random code a draw."""
        context: dict[str, Any] = dict(zip(self.told, told, strict=True))
        features = self.encoder(self._corrupt(x, context), context)
        value: Tensor = self._code_of(features, x, context).value
        return value
