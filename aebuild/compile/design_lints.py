"""Warnings about the design as a whole: depth, kernels, skips, weights and sizes that will disappoint."""

from __future__ import annotations

from collections.abc import Iterator

from aebuild.compile.plan import Plan
from aebuild.compile.reach import gradient_path, receptive_field
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Hint
from aebuild.lang.lint import Finding, warning
from aebuild.lang.node import Node
from aebuild.lang.schedule import numbers
from aebuild.lang.terms import Penalty
from aebuild.lang.values import elements

SATURATING = warning("AE255", "many saturating layers in a row", """\
The slope of a sigmoid is at most 1/4, and that of a tanh is 1 only near 0: each such layer shrinks the gradient, and a few of them in a row
let the first layers stand still (Glorot and Bengio, 2010). Rectifiers, a norm in each layer, or a residual around them keep it.

```yaml
encoder: {layer: linear, width: 32, depth: 5, activation: sigmoid}
```
```yaml
encoder: {layer: linear, width: 32, depth: 5, activation: relu}
```
""")

FEW_FOR_NORM = warning("AE256", "batch normalisation over very few samples", """\
The mean and variance of a batch of four or fewer samples are mostly noise, and differ from the running ones that evaluation takes: the
error grows (Wu and He, 2018). Group or layer normalisation does not look at other samples.

```yaml
encoder: {layer: linear, width: 32, norm: batch}
train: {batch_size: 4}
```
```yaml
encoder: {layer: linear, width: 32, norm: layer}
train: {batch_size: 4}
```
""")

NARROW_SIGHT = warning("AE257", "a mean of places that see little", """\
Where the code is made of the mean over all places, nothing but the convolutions before it can relate distant places to each other. What a
place sees there is less than a quarter of the input, and of that the middle counts most (Luo et al., 2016): the code is a bag of small
details. Larger kernels, a stride, more layers, or `adapter: flatten` let it see more.

```yaml
data: {type: digits, size: [64, 64]}
encoder: {steps: [conv: {width: 16}], adapter: mean}
```
```yaml
data: {type: digits, size: [64, 64]}
encoder: {steps: [conv: {width: 16, stride: 4, kernel: 4}, conv: {width: 16, stride: 4, kernel: 4}], adapter: mean}
```
""")

CHECKERBOARD = warning("AE258", "a last kernel that its stride does not divide", """\
A transposed convolution whose kernel is no multiple of its stride writes some places more often than others, and the picture gets a pattern
of squares (Odena et al., 2016). Layers behind it can learn to even it out; the last one has none. A kernel that is a multiple of the
stride, or `upsample: nearest`, has no such pattern. At a stride of 2, where half of the places are written by one place more than the
others, it is warned of only where the kernel is written for the decoder: kernel 3 is the default, and a mirror has what suits the encoder.

```yaml
decoder: [conv: {width: 16, kernel: 5, stride: 4}]
```
```yaml
decoder: [conv: {width: 16, kernel: 8, stride: 4}]
```
""")

PLAIN_DEPTH = warning("AE259", "a deep half without norm or residual", """\
Beyond some sixteen layers a plain stack gets worse with every layer, in training too: the signal and its gradient pass through each of them
(He et al., 2016). A residual around every two of them, or a norm in each, lets deeper ones train.

```yaml
decoder: {layer: linear, width: 32, depth: 20}
```
```yaml
decoder: {layer: linear, width: 32, depth: 20, norm: layer}
```
""")

AROUND = warning("AE260", "skips around a variational code", """\
What reaches the decoder through a skip needs no nats: the decoder takes from there what the code would have to pay for, and the code, which
is what samples are drawn from, learns little (Chen et al., 2017). Leave the skips out, or take a deterministic code.

```yaml
encoder: {layer: conv, width: [8, 16], stride: 2}
latent: {type: gaussian, dim: 8}
decoder: {layer: conv, width: [16, 8], skip: true}
```
```yaml
encoder: {layer: conv, width: [8, 16], stride: 2}
latent: {type: gaussian, dim: 8}
decoder: {layer: conv, width: [16, 8]}
```
""")

DROWNED = warning("AE261", "a term that drowns another", """\
A term is summed over a sample's elements unless `reduction: mean` says otherwise. The mean of the reconstruction beside the sum of the KL
weighs the KL as many times more as a sample has elements, a β of hundreds (Higgins et al., 2017): the code collapses. The mean of the KL
beside the sum of the reconstruction weighs it as many times less. Take both in the same way, or set the weight that makes up for it.

```yaml
latent: {type: gaussian, dim: 8}
losses: {reconstruction: {type: mse, reduction: mean}, kl: {weight: 4}}
```
```yaml
latent: {type: gaussian, dim: 8}
losses: {reconstruction: {type: mse, reduction: mean}, kl: {weight: 0.02}}
```
""")

BY_HEART = warning("AE262", "far more weights than data", """\
A network with a hundred times more weights than the training data have numbers can learn them by heart, noise included (Zhang et al.,
2017), and then says little about other samples. Narrower layers, a corruption or dropout hold it back.

```yaml
data: wine                                   # 13 numbers of some hundred samples
encoder: {layer: linear, width: [512, 512]}
```
```yaml
data: wine
encoder: {layer: linear, width: 64}
```
""")

SUBSPACE = warning("AE263", "a code wider than what it is made of", """\
The latent's projection is linear: from a last layer of four units it makes a code in a plane of four dimensions, however large `dim` is
(Baldi and Hornik, 1989). The other dimensions cost weights and hold nothing. A wider last layer, or a smaller `dim`.

```yaml
encoder: {layer: linear, width: [32, 4]}
latent: {type: continuous, dim: 16}
```
```yaml
encoder: {layer: linear, width: [32, 16]}
latent: {type: continuous, dim: 8}
```
""")

FEW_STEPS = warning("AE264", "too few steps to leave the start", """\
A step of Adam moves a weight by about the learning rate at most, whatever the gradient (Kingma and Ba, 2014). Small data pass in few
batches, so that some epochs are only a handful of steps: here all of them together move no weight by more than a small part of what it was
drawn with, and what comes out is hardly more than the random network. Who writes `steps` has counted them, and is not warned.

```yaml
data: {type: digits, limit: 100}
train: {epochs: 5, batch_size: 50}               # 10 steps
```
```yaml
data: {type: digits, limit: 100}
train: {epochs: 100, batch_size: 10}             # 1,000 steps
```
""")

WIDE_NOISE = warning("AE265", "a Gaussian wider than any data of this range", """\
Beside a KL term the variance of the likelihood says how much an error costs in nats. Values between 0 and 1 cannot have a variance above
1/4, wherever they lie (Popoviciu, 1935), so a Gaussian of variance 1 around them calls everything noise: the code pays for less than the
data hold, and reconstructions are blurred (Rybkin et al., 2021). A `learned` variance finds its size.

```yaml
data: digits                                     # 0 … 1
latent: {type: gaussian, dim: 8}
losses: {reconstruction: gaussian}
```
```yaml
data: digits
latent: {type: gaussian, dim: 8}
losses: {reconstruction: {type: gaussian, variance: learned}}
```
""")

ALONE = warning("AE266", "a loss that compares samples, in batches of one", """\
Covariances of codes, distances to draws of the prior, pairs of views and of classes are taken over the samples of a batch. In a batch of
one there is nothing to compare with: the term is a constant or zero, or, of discrepancies, mostly noise (Gretton et al., 2012).

```yaml
losses: {decorrelation: 1}
train: {batch_size: 1}
```
```yaml
losses: {decorrelation: 1}
train: {batch_size: 32}
```
""")

SATURATED = 4            # layers: with slopes of at most 1/4, a 256th of the gradient
FEW = 4                  # samples in a batch
QUARTER = 4
PLAIN = 16               # layers; He et al. (2016) compare plain nets of 18 and 34
TIMES = 100              # of a β that makes up for an average: Higgins et al. (2017) go up to some 10 in these units
WEIGHTS = 100            # a number of the data
MOVED = 0.02             # that all steps together can move a weight by; of 64 inputs it is drawn from about ±0.2
_EVEN = frozenset({"residual", "transformer", "attention", "rnn", "lstm", "gru", "unroll"})


def design(plan: Plan, info: DataInfo) -> Iterator[Finding]:
    """Every warning about the design as a whole."""
    for name, half in (("encoder", plan.encoder), ("decoder", plan.decoder)):
        yield from _about_depth(name, half, plan)
    yield from _about_places(plan)
    yield from _about_weights(plan, info)
    yield from _about_code(plan)
    yield from _about_batches(plan, info)
    yield from _about_steps(plan, info)
    yield from _about_noise(plan)


def _about_depth(name: str, half: Node, plan: Plan) -> Iterator[Finding]:
    if any(node.kind in _EVEN or node.part.family == "norm" for node in half.walk()):
        return
    kinds = [node.kind for node in half.walk()]
    place = plan.spec.place(name) if plan.spec.place(name) != plan.spec.place() else plan.spec.place("encoder")
    saturating = sum(kind in ("sigmoid", "tanh") for kind in kinds)
    if kinds.count("sigmoid") >= SATURATED:
        yield SATURATING, f"{saturating} saturating layers follow each other in the {name}", place, Hint("activation: relu, or a norm")
    if (layers := gradient_path(half)) >= PLAIN:
        yield (PLAIN_DEPTH, f"the {name} has {layers} layers in a row without norm or residual", place,
               Hint("norm: layer, or a residual around every two layers"))


def _about_places(plan: Plan) -> Iterator[Finding]:
    pooled = next((node for node in (*plan.encoder.walk(), *plan.latent.node.walk()) if node.kind == "mean" and node.input.places), None)
    field, places = None if pooled is None else receptive_field(plan.encoder), plan.encoder.input.places
    if pooled is not None and field is not None and all(QUARTER * seen < size for seen, size in zip(field, places, strict=True)):
        told = "×".join(map(str, field)) + " of " + "×".join(map(str, places))
        yield (NARROW_SIGHT, f"{pooled.path} averages over places that see {told}", plan.spec.place("encoder"),
               Hint("larger kernels, a stride or more layers"))
    spatial = [node for node in plan.decoder.walk() if not node.children and node.kind in ("conv", "conv_transpose")]
    spatial = [node for node in spatial if max(node.args.get("kernel", (1,))) > 1]
    if spatial and (last := spatial[-1]).kind == "conv_transpose":
        own = any(last.part is step for step in getattr(plan.spec.decoder, "steps", ()))
        chosen = own and last.part.place("kernel") != last.part.place()
        for kernel, stride in zip(last.args["kernel"], last.args["stride"], strict=True):
            if stride > (1 if chosen else 2) and kernel > stride and kernel % stride:          # where it is smaller AE207 says so
                better = (kernel // stride + 1) * stride
                yield (CHECKERBOARD, f"{last.path}, the last, has kernel {kernel} and stride {stride}", last.part, f"kernel: {better}")
                return


def _about_weights(plan: Plan, info: DataInfo) -> Iterator[Finding]:
    terms = {term.name: term for term in plan.terms}
    if "kl" in terms and "reconstruction" in terms and plan.spec.losses.place("reconstruction", "kl") is not None:
        kl, other = terms["kl"], terms["reconstruction"]
        heaviest = max(map(abs, numbers(kl.config.weight)))
        own = max(map(abs, numbers(other.config.weight)))
        means = other.config.reduction == "mean", kl.config.reduction == "mean"
        beta = heaviest / own * other.elements if own and means == (True, False) else 0
        if beta > TIMES:
            yield (DROWNED, f"beside the mean of {other.elements:,} elements the sum of the KL weighs like a β of {beta:,.0f}",
                   plan.spec.losses.place("kl", "reconstruction"), Hint(f"weight: {own / other.elements:.2g} is a β of 1"))
        if means == (False, True) and heaviest and own * kl.elements / heaviest > TIMES * 10:
            yield (DROWNED, f"beside the sum of the reconstruction the mean of {kl.elements:,} elements of the KL weighs like a β of "
                   f"{heaviest / own / kl.elements:.2g}", plan.spec.losses.place("kl"), Hint("reduction: sum"))
    samples = info.counts.get("train")
    own_params = plan.encoder.params + plan.decoder.params
    heavy = samples and own_params > WEIGHTS * samples * elements(plan.target)
    if heavy and not plan.spec.corrupt and not any(node.kind == "dropout" for node in plan.nodes()):
        yield (BY_HEART, f"{own_params:,} weights for {samples:,} samples of {elements(plan.target):,} numbers", plan.spec.place("encoder"),
               Hint("narrower layers, a corruption, or dropout"))


def _about_code(plan: Plan) -> Iterator[Finding]:
    spec, terms = plan.spec, {term.name for term in plan.terms}
    if plan.taps and "kl" in terms:
        step = next((step for step in getattr(spec.decoder, "steps", []) if step.variant_name() == "skip"), spec.decoder)
        yield AROUND, "skips lead around a code that the KL term charges for", step, Hint("leave the skips out")
    dim, value = getattr(spec.latent, "dim", None), plan.encoder.output
    width = elements(value) if not plan.latent.code.places else value.features
    linear = spec.latent.variant_name() in ("continuous", "gaussian", "adversarial")          # a sparse code is wider on purpose
    if dim is not None and linear and spec.encoder.steps and width < dim and not value.places:
        yield (SUBSPACE, f"the code has dim {dim}, the layer that it is made of {width}", spec.latent, f"dim: {width}")


def _about_batches(plan: Plan, info: DataInfo) -> Iterator[Finding]:
    """Batches too small for what looks over their samples."""
    smallest = min((phase.batch_size for phase in plan.phases if phase.data == "samples"), default=FEW + 1)
    norm = next((node for node in plan.nodes() if node.kind == "batch_norm"), None) if smallest <= FEW else None
    if norm is not None:
        yield FEW_FOR_NORM, f"{norm.path} averages over batches of {smallest}", norm.part, "norm: layer"
    for name, term in plan.spec.losses.terms.items():
        if isinstance(term, Penalty) and name != "kl" and term.across and smallest == 1:
            yield (ALONE, f"{name} compares the samples of a batch, and there are batches of one", term,
                   Hint("a larger train.batch_size"))


def _about_steps(plan: Plan, info: DataInfo) -> Iterator[Finding]:
    """Epochs that are so few steps that Adam can hardly move a weight."""
    samples, train = info.counts.get("train"), plan.spec.train
    phases = [phase for phase in plan.phases if phase.data == "samples" and phase.pair is None and "encoder" not in phase.freeze]
    if not samples or train.epochs is None or any(phase.epochs is None or phase.start is not None for phase in phases):
        return
    steps = [max(1, samples // phase.batch_size) * (phase.epochs or 1) for phase in phases]
    rates = [max(numbers(player.optimizer.lr)) for phase in phases for player in phase.players
             if player.optimizer.variant_name() in ("adam", "adamw")]
    if rates and sum(steps) * max(rates) < MOVED:
        most = sum(steps) * max(rates)
        told = f"{train.epochs:,} epochs of {samples:,} samples are {sum(steps):,} steps, which move a weight by {most:.2g} at most"
        yield (FEW_STEPS, told, train.place("epochs"), Hint("more epochs, smaller batches, or a larger learning rate"))


def _about_noise(plan: Plan) -> Iterator[Finding]:
    """A Gaussian whose variance the data cannot reach."""
    likelihood, kl = plan.spec.losses.reconstruction, next((term.config for term in plan.terms if term.name == "kl"), None)
    variance, bounds = getattr(likelihood, "variance", None), plan.bounds
    if kl is None or not isinstance(variance, float) or bounds.low is None or bounds.high is None or likelihood.reduction == "mean":
        return
    nats = max(map(abs, numbers(likelihood.weight))) / (max(map(abs, numbers(kl.weight))) or 1.0)
    most = (bounds.high - bounds.low) ** 2 / 4
    if variance / (nats or 1.0) > most:
        bare = likelihood.place("variance", "type") == likelihood.place()          # nothing but its name is written
        yield (WIDE_NOISE, f"a variance of {variance:g}, and values that are {bounds} have {most:g} at most", likelihood,
               f"{{type: {likelihood.variant_name()}, variance: learned}}" if bare else "variance: learned")
