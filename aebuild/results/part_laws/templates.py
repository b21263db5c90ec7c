"""Plug-ins to begin with, one for each of the families that are written most; each holds all laws."""

LAYER = '''\
"""A layer of my own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.norm_act import sequential
from aebuild.lang.part import knob
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from torch import nn


class MyLayer(Layer):
    """A linear map times a sigmoid gate on the same input (Dauphin et al., 2016)."""

    type: Literal["my_layer"] = "my_layer"                 # the word in specs
    example = "encoder: [my_layer: {width: 12}]"           # a small spec, or the keys of one, in which it stands
    width: int = knob(..., "output features", affects="graph", ge=1)
    wants = ("vector",)                                    # anything else is adapted in front of it

    def plan(self, value: Value, site: Site) -> Node:
        """vector(D) to vector(width): one map to twice the width, then half of it gates the other half."""
        inputs, both = value.features, 2 * self.width
        linear = Node(f"{site.path}.linear", "linear", value, Vector(both), self, weights={"weight": (both, inputs), "bias": (both,)},
                      macs=inputs * both, init="sigmoid", window=None)
        gate = Node(f"{site.path}.gate", "gate", linear.output, Vector(self.width), self)
        return sequential(site.path, "my_layer", value, [linear, gate], self)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Linear, or its GLU."""
        from torch import nn

        if node.kind == "gate":
            return nn.GLU(dim=1)
        return nn.Linear(node.input.features, node.output.features)
'''

PENALTY = '''\
"""A penalty of my own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import Penalty

if TYPE_CHECKING:
    from torch import nn


class MyPenalty(Penalty):
    """How far the code's squared length is from one that is wanted."""

    type: Literal["my_penalty"] = "my_penalty"
    example = "losses: {length: {type: my_penalty, weight: 0.2, wanted: 2.0}}"
    key = "length"                                         # where it stands under `losses`
    unit = "squared difference of the code's squared length"
    wanted: float = knob(1.0, "the squared length that codes should have", affects="loss", ge=0)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from torch import Tensor

        from aebuild.modules.losses import Loss
        from aebuild.modules.outputs import Outputs

        class Length(Loss):
            """[N, ...] codes to [N, 1] penalties, which the trainer sums and averages."""

            def __init__(self, wanted: float) -> None:
                super().__init__()
                self.wanted = wanted

            def loss(self, outputs: Outputs) -> Tensor:
                return (outputs.code.value.flatten(1).square().sum(1, keepdim=True) - self.wanted).square()

        return Length(self.wanted)
'''

LATENT = '''\
"""A latent of my own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.families import LatentPlan, Prior, ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import to_code
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


def _fitted() -> Any:
    return Prior.named("fitted")


class MyLatent(ProjectedLatent):
    """A code of real numbers that are kept within a bound by a tanh."""

    type: Literal["my_latent"] = "my_latent"
    example = "latent: {type: my_latent, dim: 4, bound: 2.0}"
    learns = ("fitted", "phase")                           # how its prior may be learned
    bound: float = knob(1.0, "the largest size of a number of the code", affects="graph", gt=0)
    prior: Prior = Field(default_factory=_fitted, description="how new codes are drawn")

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters and a projection to `dim` features, then the prior."""
        steps = to_code(self, value, site, self.dim)
        code = steps[-1].output
        node = Node(site.path, "my_latent", value, code, self, {"bound": self.bound}, children=steps)
        plan = LatentPlan(node=node, code=code, values=elements(code), bits=32.0 * elements(code), codes=code)
        return plan.joined(self.prior.serve(self, code, site, self.learns))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent's module."""
        from torch import Tensor

        from aebuild.modules.code import Code
        from aebuild.modules.latent import Latent

        class Bounded(Latent):
            """[N, *shape] features to codes of the same shape."""

            def __init__(self, steps: dict[str, nn.Module], prior: Any, bound: float) -> None:
                super().__init__(steps, prior)
                self.bound = bound

            def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
                return Code(self.bound * (self.project(h, context) / self.bound).tanh())

        prior = children.pop("prior")
        return Bounded(children, prior, node.args["bound"])
'''

DATASET = '''\
"""Data of my own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe
from aebuild.lang.dataset import DataInfo, Divided, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.values import Vector

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw


class MyData(Sampled, Divided):
    """Points on a circle, with noise."""

    type: Literal["my_data"] = "my_data"
    example = ("data: {type: my_data, samples: 60, noise: 0.1, limit: 40, split: {validation: 0.2, test: 0.1, seed: 1}}\\n"
               "latent: {type: continuous, dim: 1}")
    samples: int = knob(500, "number of points", affects="data", ge=10)
    noise: float = knob(0.05, "standard deviation of the noise", affects="data", ge=0)

    def probe(self, where: Where) -> DataInfo:
        """What the data are, without making them."""
        return describe(self, self.outline)

    @property
    def outline(self) -> Outline:
        """Two numbers for each sample."""
        return Outline(Vector(2), {"train": self.samples}, f"my_data: {self.samples:,} points on a circle")

    def read(self, where: Where) -> Raw:
        """Points [n, 2]."""
        import numpy as np

        from aebuild.data.axes import Layout
        from aebuild.data.raw_samples import Raw, Stored

        draw = np.random.default_rng(0)
        angle = draw.uniform(0, 2 * np.pi, self.samples)
        points = np.stack([np.cos(angle), np.sin(angle)], 1) + self.noise * draw.normal(size=(self.samples, 2))
        return Raw(self.outline, {"train": Stored(points, Layout(Vector(2)), "my_data")})
'''

LIKELIHOOD = '''\
"""A likelihood of my own: how a reconstruction is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class MyLikelihood(Likelihood):
    """The squared error, heavier where the reconstruction is below the target (Newey & Powell, 1987)."""

    type: Literal["my_likelihood"] = "my_likelihood"
    example = "losses: {reconstruction: {type: my_likelihood, below: 3.0, weight: 0.5}}"
    unit = "weighted squared error"                        # what the figure of one sample is
    below: float = knob(2.0, "the weight of elements that are reconstructed too low", affects="loss", gt=0)

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """One output for each element of the target."""
        return OutputPlan(1, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from torch import Tensor

        from aebuild.modules.likelihoods import Point, per_sample

        class Expectile(Point):
            """Its parameter is the reconstruction itself."""

            def __init__(self, below: float) -> None:
                super().__init__()
                self.below = below

            def forward(self, params: Tensor, target: Tensor) -> Tensor:
                """[N]: the sum over a sample."""
                return per_sample(self.each(params, target))

            def each(self, params: Tensor, target: Tensor) -> Tensor:
                """Like the target: the figure of each element."""
                error = target - params
                return error.square() * (error > 0).to(error.dtype).mul(self.below - 1).add(1)

        return Expectile(self.below)
'''

TASK = '''\
"""A metric of my own: a question to the trained model, asked after training or by `aebuild evaluate --task`."""

from __future__ import annotations

from typing import ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, Table, Task, Trained


class MyTask(Task):
    """How much worse than the usual sample the worst ones are reconstructed (after Rockafellar & Uryasev, 2000)."""

    type: Literal["my_task"] = "my_task"
    meanings: ClassVar[dict[str, str]] = {"tail": "mean error of the worst samples over that of all, from 1; lower is better"}
    example = ("data: {type: digits, limit: 100}\\n"
               "latent: {type: continuous, dim: 4}\\n"
               "evaluate: {tasks: [my_task: {share: 0.3}]}")
    share: float = knob(0.1, "the share of the samples that are the worst", affects="evaluation", gt=0, lt=1)

    def evaluate(self, trained: Trained) -> Answer:
        """`tail`, and the rows of the worst samples."""
        import numpy as np

        errors = trained.terms(trained.judged)["reconstruction"]             # [samples]
        worst = np.argsort(errors)[::-1][:max(1, round(self.share * len(errors)))]
        rows = tuple((str(row), float(errors[row])) for row in worst[:10])
        return Answer({"tail": float(errors[worst].mean() / errors.mean())}, (Table("worst", ("sample", "error"), rows),))
'''

TEMPLATES = {"layer": LAYER, "penalty": PENALTY, "likelihood": LIKELIHOOD, "latent": LATENT, "task": TASK, "dataset": DATASET}
