"""What makes loss terms from a forward pass: the base of likelihoods, heads, penalties and critics."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from aebuild.modules.outputs import Outputs

LossFunction = Callable[[Outputs], "Tensor | None"]


class Loss(nn.Module):
    """A module with a loss."""

    def loss(self, outputs: Outputs) -> Tensor | None:
        """The raw term: [N, ...] to be summed over a sample and averaged over the batch, or a scalar; None where this batch has none."""
        raise TypeError(f"{type(self).__name__} has no loss")

    def ready(self, target: Tensor) -> None:
        """Gets ready for targets like these, before training goes on; ValueError with the reason if it cannot."""

    def losses(self, name: str) -> dict[str, LossFunction]:
        """Every term that it makes where it stands under this name."""
        return {name: self.loss}
