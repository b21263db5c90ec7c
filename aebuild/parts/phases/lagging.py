"""An encoder that is trained ahead of the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from aebuild.lang.part import knob
from aebuild.lang.terms import AUTOENCODER, Role
from aebuild.lang.training import PhasePart


class Lagging(PhasePart):
    """Several steps of the encoder for each of the decoder, against posterior collapse (He et al., 2019).

    The player `inference` has encoder and latent and minimises the autoencoder's terms in `inner` updates of each batch, with new noise in
    each; then the rest of the autoencoder learns once. The paper stops when the mutual information of data and code stops growing:
    `judge: {by: kl, best: highest}` with a `patience` stops at its upper bound; a phase `main` goes on.
    """

    type: Literal["lagging"] = "lagging"
    example = ("data: {type: wine, limit: 50}\n"
               "latent: {type: gaussian, dim: 2}\n"
               "train: {phases: [lagging: {epochs: 1, batch_size: 10, clip: 0.3, inner: 4, rates: {encoder: 0.5}}, lagging: {steps: 2, "
               "batch_size: 20}]}\n"
               "---\n"
               "data: {type: wine, limit: 50}\n"
               "latent: {type: gaussian, dim: 2}\n"
               "train: {epochs: 8, batch_size: 20, optimizer: {lr: 0.3}, phases: [lagging: {patience: 1, inner: 2}, main: {epochs: 1}]}")
    also = ("aggressive", "lagging_inference")
    inner: int = knob(5, "updates of encoder and latent for each batch", affects="training", ge=1)

    def roles(self, roles: Sequence[Role]) -> list[Role]:
        """The autoencoder's role in two."""
        found: list[Role] = []
        for role in super().roles(roles):
            if role.name == AUTOENCODER:
                ahead = tuple(path for path in role.modules if path.split(".")[0] in ("encoder", "latent"))
                found.append(Role("inference", ahead, of=AUTOENCODER, steps=self.inner))
                role = replace(role, modules=tuple(path for path in role.modules if path not in ahead))
            found.append(role)
        return found

    def stretches(self, depth: int) -> list[tuple[str, tuple[int, str] | None]]:
        """One, over everything."""
        return [("lagging", None)]
