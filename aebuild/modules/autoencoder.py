"""The whole model: encoder, latent, decoder, likelihood, heads and penalties as one plain module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.children import Children
from aebuild.modules.code import Code
from aebuild.modules.collectives import repeated, sharing
from aebuild.modules.forming import Forming
from aebuild.modules.labels import surprise_at_labels
from aebuild.modules.latent import Latent
from aebuild.modules.losses import Loss, LossFunction
from aebuild.modules.outputs import Batch, Outputs, cut, repeated_rows
from aebuild.modules.posteriors import Distribution
from aebuild.modules.recording import recording
from aebuild.modules.stage import Again, Stage, taken, unlearned


@dataclass(frozen=True)
class Pair:
    """One step of greedy layer-wise training: encoder steps up to `depth`, and the decoder steps that undo them.

    `target` is what the pair reproduces: the clean input through the outer layers, or the code it was given.
    """

    depth: int
    target: str


class Head(Loss):
    """A network on the code (or on the encoder's features) that predicts labels."""

    def __init__(self, network: nn.Module, source: str, name: str) -> None:
        super().__init__()
        self.network = network
        self.source, self.name = source, name

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, ...] to logits [N, classes]."""
        return taken(self.network, x, {} if context is None else context)

    def loss(self, outputs: Outputs) -> Tensor | None:
        """Cross-entropy of each labelled sample, [N], zero where the label is unknown, scaled to the known ones' mean."""
        source = outputs.code.value if self.source == "latent" else outputs.features
        assert source is not None, "nothing was encoded in this pass"
        labels = outputs.labels if self.source == "latent" else outputs.batch.labels
        if labels is None:
            return None
        logits = self(source, outputs.batch.context() if self.source == "encoder" else None)
        return surprise_at_labels(logits, labels, outputs, self.name)


class Autoencoder(nn.Module):
    """Encoder, latent, decoder and likelihood, with everything a trained autoencoder is asked for.

    `encoder` and `decoder` are Stages; the decoder's last step gives the likelihood's parameters. `latent` follows
    the protocol of modules/code.py. `refusals` names operations this design cannot do and why.
    """

    latent: Any            # a modules.latent.Latent
    likelihood: Any        # a modules.likelihoods.Likelihood

    def __init__(self, encoder: Stage, latent: nn.Module, decoder: Stage, likelihood: nn.Module,
                 heads: Mapping[str, Head], penalties: Mapping[str, Loss], corruptions: Sequence[tuple[nn.Module, bool]],
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
        self.latent.meet(decoder)
        if isinstance(latent, Latent):
            latent.prior.meet(self.posterior_of)

    def posterior_of(self, x: Tensor) -> Distribution:
        """The posteriors of samples [n, ...] as the encoder takes them, whatever batch is at work; of a variational latent."""
        context: dict[str, Any] = {}
        with sharing(None):
            posterior: Distribution = self.latent.posterior(self.latent.project(self.features(x, context), context))
        return posterior

    def corrupt(self, x: Tensor, context: dict[str, Any] | None = None, judged: bool = False) -> Tensor:
        """The input as the encoder gets it: corrupted in training; by what is `when: always` in evaluation too.

        In a recorded program only by what changes the input's type. Where the loss is of what is hidden, a pass that is `judged` by it
        hides in evaluation too.
        """
        context = {} if context is None else context
        hides = judged and self.likelihood.masked
        for module, always in zip(self.corruptions, self.corrupts_always, strict=True):
            if self.training or isinstance(module, Forming) or (always and not recording()) or (hides and getattr(module, "masks", False)):
                x = taken(module, x, context)
        return x

    def formed(self, x: Tensor) -> Tensor:
        """The input after what changes its type alone."""
        for module in self.corruptions:
            x = module(x) if isinstance(module, Forming) else x
        return x

    def features(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The encoder's output, before the bottleneck."""
        features: Tensor = self.encoder(x, context)
        return features

    def encode(self, x: Tensor, lengths: Tensor | None = None, conditions: Tensor | None = None) -> Code:
        """The code of a batch; a variational code is a draw from the posterior, of a recorded program its mean.

        `lengths` [N] are the real places of series of unequal length, `conditions` [N, F] what a conditioned model is told of a sample.
        """
        return self._encoded(x, _known(lengths, conditions))[1]

    def _encoded(self, x: Tensor, context: dict[str, Any], draws: int | None = None, judged: bool = False) -> tuple[Tensor, Code]:
        given = context["given"] = self.corrupt(x, context, judged)
        features = self.features(given, context)
        return features, self.code_of(features, x, context, draws)

    def code_of(self, features: Tensor, x: Tensor, context: dict[str, Any], draws: int | None = None) -> Code:
        """The code of the encoder's output for samples x [N, ...], of which a posterior may want to know how probable a code makes them."""
        if getattr(self.latent, "follows", False):
            context = {**context, "surprise": partial(self._surprise, x, dict(context), draws or 1)}
        code: Code = self.latent(features, context, draws)
        return code

    def _surprise(self, x: Tensor, context: dict[str, Any], draws: int, value: Tensor) -> Tensor:
        """Nats of samples x [N, ...] given `draws` codes of each, [N·draws]; it leaves no trace in what the decoder learns of batches."""
        context = {"target": x, **context}
        batch = Batch(x, context["target"], mask=context.get("mask"), lengths=context.get("lengths"))
        seen = {key: repeated_rows(held, draws) if isinstance(held, Tensor) else held for key, held in context.items()}
        with unlearned(self), repeated(draws):
            params = self.parameters_of(value, seen)
            nats: Tensor = self.likelihood.loss(Outputs(batch, Code(value), params=params, context=seen, draws=draws))
        return nats

    def decode(self, value: Tensor, context: dict[str, Any] | None = None, conditions: Tensor | None = None) -> Tensor:
        """The expected data, [N, ...] like the target, for a code; ValueError if a code alone does not determine them.

        `conditions` [N, F] are what a conditioned model is told of the samples, where no `context` has them. A decoder that reads its
        own target draws data, place by place, in place of the expected ones.
        """
        if context is None:
            self.require("decode")
            context = _known(conditions=conditions)
        params = self.parameters_of(value, context)
        made: Tensor = context["generated"] if "generated" in context else self.likelihood.mean(params)
        return made

    def parameters_of(self, value: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The likelihood's parameters for the decoder's input; the lengths of series are not in a code, so it does not see them."""
        context = {} if context is None else context
        context.setdefault("mean", self.likelihood.mean)
        context.setdefault("draw", self.likelihood.draw)
        seen = {key: held for key, held in context.items() if key != "lengths"}
        params: Tensor = self.likelihood.linked(self.decoder(value, seen), seen)
        context.update(seen)
        return params

    def reconstruct(self, x: Tensor, lengths: Tensor | None = None, conditions: Tensor | None = None) -> Tensor:
        """The expected data for what the code keeps of the input; `lengths` and `conditions` as `encode` takes them."""
        context = {"input": x, **_known(lengths, conditions)}
        return self.decode(self._encoded(x, context)[1].value, context)

    def forward(self, x: Tensor, conditions: Tensor | None = None) -> Tensor:
        """The same as reconstruct."""
        return self.reconstruct(x, conditions=conditions)

    def require(self, operation: str) -> None:
        """Raises ValueError with the reason if this design cannot do the operation."""
        if operation in self.refusals:
            raise ValueError(f"this model cannot {operation}: {self.refusals[operation]}")

    def sample(self, count: int, conditions: Tensor | None = None) -> Tensor:
        """`count` new data points: codes drawn from the prior, decoded; `conditions` [count, F], or [1, F] for all."""
        self.require("sample")
        known = _known(conditions=conditions)
        return self.decode(self.latent.draw(count, known), known)

    def interpolate(self, a: Tensor, b: Tensor, steps: int, where: str = "code", conditions: Tensor | None = None) -> Tensor:
        """[steps, N, ...] from a to b, linear in the `code` or in the encoder's `features` before the bottleneck.

        `conditions` [N, F] hold on the whole way.
        """
        self.require("interpolate")
        known = _known(conditions=conditions)
        if where == "features":
            self.require("interpolate before the bottleneck")
        first, second = (self.encode(x, conditions=conditions).value if where == "code" else self.features(self.formed(x), dict(known))
                         for x in (a, b))
        shares = torch.linspace(0, 1, steps, device=a.device)
        between = [torch.lerp(first, second, share) for share in shares]
        codes = (self.latent.settled(value) if where == "code" else self.latent(value, dict(known)).value for value in between)
        return torch.stack([self.decode(code, dict(known)) for code in codes])

    def run(self, batch: Batch, pair: Pair | None = None, draws: int | None = None) -> Outputs:
        """One forward pass, which all losses read; `draws` codes of each sample where they are random.

        `pair` restricts the path to one step of greedy layer-wise training.
        """
        return self._run(batch, pair, draws)

    def losses(self, outputs: Outputs, names: Iterable[str]) -> dict[str, Tensor]:
        """The raw terms of these names that this batch has; what they compute on the way is left in the pass."""
        return self._losses(outputs, names)

    def run_losses(self, batch: Batch, names: Iterable[str], pair: Pair | None = None, draws: int | None = None
                   ) -> tuple[dict[str, Tensor], Outputs]:
        """A forward pass and its terms in one call, which is what sharded weights are gathered for."""
        outputs = self._run(batch, pair, draws)
        return self._losses(outputs, names), outputs

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The raw terms that the whole model is trained by on a batch, and scalars to log."""
        outputs = self.run(batch)
        names = ("reconstruction", *outputs.terms, *dict(self.heads.items()), *dict(self.penalties.items()))
        return self.losses(outputs, names), outputs.metrics

    def _run(self, batch: Batch, pair: Pair | None, draws: int | None) -> Outputs:
        if pair is not None:
            return self._run_pair(batch, pair)
        context = batch.context()
        given = dict(context)
        features, code = self._encoded(batch.x, context, draws, judged=True)
        if draws is not None and draws > 1:
            context = {key: repeated_rows(value, draws) if isinstance(value, Tensor) else value for key, value in context.items()}
        seen, replay = dict(context), None if draws is None else Again(self.decoder)
        with repeated(draws or 1):
            params = self.parameters_of(code.value, context)

        def view() -> Code:
            with unlearned(self):
                return self.encode(batch.x, batch.lengths, batch.conditions)

        def encode(x: Tensor) -> Code:
            with unlearned(self), repeated(1):
                again = dict(given)
                return self.code_of(self.features(self.formed(x), again), x, again)

        def parameters_of(value: Tensor) -> Tensor:
            with unlearned(self):
                return self.parameters_of(value, dict(seen))

        def again() -> Tensor:
            assert replay is not None
            with replay:
                return self.parameters_of(code.value.detach(), {key: cut(value) for key, value in seen.items()})

        def draw(count: int) -> Tensor:
            codes: Tensor = self.latent.draw(count, dict(seen))
            return codes

        return Outputs(batch, code, features, params, context, draws or 1, self.likelihood.mean, view, encode, parameters_of,
                       self.likelihood.loss, self.decoder.parameters, draw, None if replay is None else again, dict(code.terms),
                       dict(code.metrics))

    def _losses(self, outputs: Outputs, names: Iterable[str]) -> dict[str, Tensor]:
        functions, found = self.loss_functions(), {}
        with repeated(outputs.draws):
            for name in names:
                term = outputs.terms[name] if name in outputs.terms else functions[name](outputs)
                if term is not None:
                    found[name] = outputs.terms[name] = term
        return found

    def loss_functions(self) -> dict[str, LossFunction]:
        """What makes each term of a pass; a scalar to log named `x per` is what the mean of `x` is divided by."""
        found: dict[str, LossFunction] = {
            "reconstruction": self.likelihood.loss, "decoding": lambda outputs: self.likelihood.loss(outputs.decoded_alone()),
            **self.latent.losses()}
        for name, module in (*self.heads.items(), *self.penalties.items()):
            found.update(module.losses(name))
        return found

    def _run_pair(self, batch: Batch, pair: Pair) -> Outputs:
        down, up, context = self.encoder.groups(), self.decoder.groups(), batch.context()
        x = self.corrupt(batch.x, context)
        for step in down[:pair.depth]:
            x = step(x, context)
        if self.training and self.corruptions and pair.target == "code" and pair.depth:
            clean = batch.x
            for step in down[:pair.depth]:
                clean = step(clean, context)
        else:
            clean = x
        code = Code(down[pair.depth](x, context)) if pair.depth < len(down) else self.latent(x, context)
        undo = len(up) - 1 - pair.depth
        y = up[undo](code.value, context)
        if pair.target == "code" and pair.depth:
            terms = {"reconstruction": (y - clean.detach()).square().flatten(1).sum(1), **code.terms}
            return Outputs(batch, code, context=context, terms=terms, metrics=dict(code.metrics))
        for step in up[undo + 1:]:
            y = step(y, context)
        params = self.likelihood.linked(y, batch.context())
        return Outputs(batch, code, params=params, context=context, mean=self.likelihood.mean, terms=dict(code.terms),
                       metrics=dict(code.metrics))


def _known(lengths: Tensor | None = None, conditions: Tensor | None = None) -> dict[str, Any]:
    """A context that has lengths and conditions, where there are any."""
    return {name: held for name, held in (("lengths", lengths), ("conditions", conditions)) if held is not None}
