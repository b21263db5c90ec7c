"""What training takes in memory, in integers before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from aebuild.compile.plan import Plan
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.node import Node
from aebuild.lang.values import elements

FLOAT = 4
MOST = 2 ** 40

ABSURD = Rule("AE319", "a model of absurd size", """\
The sizes are computed before anything is allocated. A model that needs a terabyte or more is a slip of the hand, often one zero too many.

```yaml
encoder: {layer: linear, width: [1000000, 1000000]}
```
```yaml
encoder: {layer: linear, width: [1000, 1000]}
```
""")


@dataclass(frozen=True, eq=False)
class Memory:
    """Bytes of training: weights, their gradients, the optimiser's state, and what backward keeps of a batch."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.parameters + self.gradients + self.optimizer + self.activations


def memory_of(plan: Plan) -> Memory:
    """Memory at the spec's batch size.

    Activations are the target, what each node says that its module keeps for the gradient, and what the reconstruction loss keeps, for
    each draw of the code and each further pass that a loss calls for; of a half that is recomputed, each step's input and the inside of
    one step.
    """
    parameters = plan.params * FLOAT
    batch = max(phase.batch_size for phase in plan.phases)
    once = {name: kept(plan, name, half) for name, half in plan.halves()}
    judged = elements(plan.decoder.output) * plan.spec.losses.reconstruction.remembers
    values = sum(once.values()) + judged + elements(plan.target)
    values += (plan.spec.losses.bound.decodings - 1) * (once["decoder"] + judged + elements(plan.target))
    for node, called in plan.called_again():
        again = {"encoder": once["encoder"] + once["latent"], "decoder": once["decoder"] + judged, "network": kept_of(node)}
        values += sum(times * again[half] for half, times in called.items())
    return Memory(parameters, parameters, parameters * plan.phases[0].players[0].optimizer.slots, values * batch * FLOAT)


def kept(plan: Plan, name: str, half: Node) -> int:
    """Values of one sample that backward keeps of a half."""
    if name == "encoder" and plan.shorter is not None:
        half = plan.shorter
    if name not in plan.spec.train.recompute:
        return kept_of(half)
    inputs = [elements(step.input) for step in half.children]
    inside = [kept_of(step) - size for step, size in zip(half.children, inputs, strict=True)]
    return sum(inputs) + max([0, *inside])


def kept_of(node: Node) -> int:
    """Values of one sample that backward keeps of a node and all below it, where nothing is recomputed."""
    return sum([each.kept for each in node.walk()])


def check_size(plan: Plan) -> list[Diagnostic]:
    """An error naming the biggest node if training would need a terabyte."""
    memory = memory_of(plan)
    if memory.total < MOST:
        return []
    biggest = max((node for node in plan.nodes() if not node.children), key=lambda node: node.own_params * 4 + elements(node.output))
    return [Diagnostic(ABSURD, f"training would need about {memory.total / 2 ** 40:,.1f} TiB; the biggest node is {biggest.path} with "
                       f"{biggest.own_params:,} parameters and {elements(biggest.output):,} output values a sample",
                       biggest.part.place("width"), Hint("a smaller width"), biggest.path)]
