"""The whole model: encoder, latent, decoder, likelihood, heads and penalties as one plain module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.children import Children
from aebuild.modules.code import Code
from aebuild.modules.collectives import mean, total, whole
from aebuild.modules.recording import recording
from aebuild.modules.stage import Stage


@dataclass
class Batch:
    """One batch: what is encoded, what is to be reproduced, and labels (-1 where unknown)."""

    x: Tensor
    target: Tensor
    labels: Tensor | None = None

    def rows(self, start: int, stop: int) -> Batch:
        """Some of its samples."""
        x = self.x[start:stop]
        return Batch(x, x if self.target is self.x else self.target[start:stop], None if self.labels is None else self.labels[start:stop])


@dataclass(frozen=True)
class Pair:
    """One step of greedy layer-wise training: encoder steps up to `depth`, and the decoder steps that undo them.

    `target` is what the pair reproduces: the clean input through the outer layers, or the code it was given.
    """

    depth: int
    target: str


class Head(nn.Module):
    """A network on the code (or on the encoder's features) that predicts labels."""

    def __init__(self, network: nn.Module, source: str) -> None:
        super().__init__()
        self.network = network
        self.source = source

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to logits [N, classes]."""
        logits: Tensor = self.network(x)
        return logits

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each labelled sample, [N], zero where the label is unknown, scaled to the known ones' mean."""
        known = labels >= 0
        raw = nn.functional.cross_entropy(logits, labels.clamp(min=0), reduction="none") * known
        return raw * (whole(labels.shape[0]) / total(known.sum()).clamp(min=1))


class Autoencoder(nn.Module):
    """Encoder, latent, decoder and likelihood, with everything a trained autoencoder is asked for.

    `encoder` and `decoder` are Stages; the decoder's last step gives the likelihood's parameters. `latent` follows
    the protocol of modules/code.py. `refusals` names operations this design cannot do and why.
    """

    latent: Any            # a latent module: forward, draw, play
    likelihood: Any        # a likelihood module: forward, mean

    def __init__(self, encoder: Stage, latent: nn.Module, decoder: Stage, likelihood: nn.Module,
                 heads: Mapping[str, Head], penalties: Mapping[str, nn.Module], corruptions: Sequence[tuple[nn.Module, bool]],
                 refusals: Mapping[str, str]) -> None:
        super().__init__()
        self.encoder = encoder
        self.latent = latent
        self.decoder = decoder
        self.likelihood = likelihood
        self.heads = Children(heads)
        self.penalties = Children(penalties)
        self.corruptions = nn.ModuleList([module for module, _ in corruptions])
        self.corrupts_always = [always for _, always in corruptions]
        self.refusals = dict(refusals)

    def corrupt(self, x: Tensor) -> Tensor:
        """The input as the encoder gets it: corrupted in training; by what is `when: always` in evaluation too, unless recorded."""
        for module, always in zip(self.corruptions, self.corrupts_always, strict=True):
            if self.training or (always and not recording()):
                x = module(x)
        return x

    def features(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The encoder's output, before the bottleneck."""
        features: Tensor = self.encoder(x, context)
        return features

    def encode(self, x: Tensor) -> Code:
        """The code of a batch; a variational code is a draw from the posterior, of a recorded program its mean."""
        code: Code = self.latent(self.features(self.corrupt(x)))
        return code

    def decode(self, value: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The expected data, [N, ...] like the target, for a code; ValueError if a code alone does not determine them."""
        if context is None:
            self.require("decode")
        mean: Tensor = self.likelihood.mean(self.parameters_of(value, context))
        return mean

    def parameters_of(self, value: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The likelihood's parameters for the decoder's input."""
        context = {} if context is None else context
        context.setdefault("mean", self.likelihood.mean)
        params: Tensor = self.decoder(value, context)
        return params

    def reconstruct(self, x: Tensor) -> Tensor:
        """The expected data for what the code keeps of the input."""
        context: dict[str, Any] = {}
        return self.decode(self.latent(self.features(self.corrupt(x), context)).value, context)

    def forward(self, x: Tensor) -> Tensor:
        """The same as reconstruct."""
        return self.reconstruct(x)

    def require(self, operation: str) -> None:
        """Raises ValueError with the reason if this design cannot do the operation."""
        if operation in self.refusals:
            raise ValueError(f"this model cannot {operation}: {self.refusals[operation]}")

    def sample(self, count: int) -> Tensor:
        """`count` new data points: codes drawn from the prior, decoded."""
        self.require("sample")
        return self.decode(self.latent.draw(count))

    def interpolate(self, a: Tensor, b: Tensor, steps: int, where: str = "code") -> Tensor:
        """[steps, N, ...] from a to b, linear in the `code` or in the encoder's `features` before the bottleneck."""
        self.require("interpolate")
        first, second = self.features(a), self.features(b)
        if where == "code":
            first, second = self.latent(first).value, self.latent(second).value
        shares = torch.linspace(0, 1, steps, device=a.device)
        between = [torch.lerp(first, second, share) for share in shares]
        return torch.stack([self.decode(value if where == "code" else self.latent(value).value) for value in between])

    def terms(self, batch: Batch, player: str = "autoencoder", pair: Pair | None = None
              ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The raw loss terms that this player minimises, and scalars to log; `x per` is what the mean of `x` is divided by.

        `pair` restricts the path to one step of greedy layer-wise training.
        """
        if pair is not None:
            return self._pair_terms(batch, pair)
        if player != "autoencoder":
            return self.latent.play(player, self.features(self.corrupt(batch.x))), {}
        context: dict[str, Any] = {"target": batch.target}
        features = self.features(self.corrupt(batch.x), context)
        code = self.latent(features)
        terms = {"reconstruction": self.likelihood(self.parameters_of(code.value, context), batch.target), **code.terms}
        metrics = dict(code.metrics)
        self._add_heads(features, code, batch, terms, metrics)
        self._add_penalties(code, batch, terms)
        return terms, metrics

    def _add_heads(self, features: Tensor, code: Code, batch: Batch, terms: dict[str, Tensor], metrics: dict[str, Tensor]) -> None:
        for name, head in self.heads.items():
            assert isinstance(head, Head)
            logits = head(code.value if head.source == "latent" else features)
            if batch.labels is None:
                continue
            terms[name] = head.loss(logits, batch.labels)
            metrics[f"{name}_accuracy"] = mean((logits.argmax(1) == batch.labels).float()).detach()
            metrics[f"{name}_accuracy per"] = mean((batch.labels >= 0).float())

    def _add_penalties(self, code: Code, batch: Batch, terms: dict[str, Tensor]) -> None:
        for name, penalty in self.penalties.items():
            assert isinstance(penalty, nn.Module)
            if penalty.views == 2:
                second = self.latent(self.features(self.corrupt(batch.x)))
                terms[name] = penalty(code.value, second.value)
            else:
                terms[name] = penalty(code.value)

    def _pair_terms(self, batch: Batch, pair: Pair) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        down, up = self.encoder.groups(), self.decoder.groups()
        x = self.corrupt(batch.x)
        for step in down[:pair.depth]:
            x = step(x)
        if self.training and self.corruptions and pair.target == "code" and pair.depth:
            clean = batch.x
            for step in down[:pair.depth]:
                clean = step(clean)
        else:
            clean = x
        terms: dict[str, Tensor] = {}
        metrics: dict[str, Tensor] = {}
        if pair.depth < len(down):
            y = down[pair.depth](x)
        else:
            code = self.latent(x)
            y, terms, metrics = code.value, dict(code.terms), dict(code.metrics)
        undo = len(up) - 1 - pair.depth
        y = up[undo](y)
        if pair.target == "code" and pair.depth:
            return {"reconstruction": (y - clean.detach()).square().flatten(1).sum(1), **terms}, metrics
        for step in up[undo + 1:]:
            y = step(y)
        return {"reconstruction": self.likelihood(y, batch.target), **terms}, metrics
