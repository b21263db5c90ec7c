"""What a plan costs, half by half, held against the spec's budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from aebuild.compile.memory import FLOAT, kept, memory_of
from aebuild.compile.plan import Plan
from aebuild.lang.budget import UNITS
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.node import Node

OVER = Rule("AE841", "a model above its budget", """\
`budget` says what the encoder, the decoder or the whole model may cost. Parameters and multiply-accumulates are known exactly before
anything is built; the message names the layers that cost most. Narrower layers, larger strides or fewer layers help;
`aebuild fit-budget` finds the widest layers that fit.

```yaml
encoder: {layer: linear, width: 256}
budget: {encoder: {params: 10k}}
```
```yaml
encoder: {layer: linear, width: 64}
budget: {encoder: {params: 10k}}
```
""")

TOLD = 3                     # nodes that are named
REMEDY = Hint("narrow the layers that cost most; `aebuild fit-budget` finds the widest that fit")
WORDS = {"params": "parameters", "macs": "MACs", "activations": "of activations", "latency": "for a batch of one"}


@dataclass(frozen=True)
class Cost:
    """What a half costs: parameters, multiply-accumulates of a sample, and bytes that backward keeps of a batch."""

    params: int
    macs: int
    activations: int


def costs(plan: Plan) -> dict[str, Cost]:
    """The cost of encoder, decoder and model, as a budget limits them."""
    batch, found = _batch(plan), {}
    for name, nodes in parts_of(plan).items():
        weights = sum(map(prod, plan.output.weights.values())) if name == "decoder" else 0
        found[name] = Cost(sum(_present(node) for node in nodes) + weights, sum(node.reconstruction_macs for node in nodes),
                           sum(kept(plan, node.path, node) for node in nodes) * batch)
    found["model"] = Cost(plan.params, plan.macs, memory_of(plan).activations)
    return found


def _batch(plan: Plan) -> int:
    """Bytes of a value in the largest batch."""
    return max(phase.batch_size for phase in plan.phases) * FLOAT


def parts_of(plan: Plan) -> dict[str, tuple[Node, ...]]:
    """The nodes that encoding and decoding run."""
    return {"encoder": (plan.encoder, plan.latent.node), "decoder": (plan.decoder,)}


def _present(node: Node) -> int:
    """Parameters of what runs in a reconstruction."""
    return 0 if node.aside else node.own_params + sum(map(_present, node.children))


def check_budget(plan: Plan) -> list[Diagnostic]:
    """An error for each limit that the plan exceeds."""
    limits = exact_limits(plan)
    known = costs(plan) if limits else {}
    return [over(plan, name, measure, now) for (name, measure), most in limits.items() if (now := getattr(known[name], measure)) > most]


def over(plan: Plan, name: str, measure: str, now: float, rule: Rule = OVER) -> Diagnostic:
    """The finding that a half exceeds this limit."""
    limits = getattr(plan.spec.budget, name)
    told = [f"{path} ({share:.0%})" for path, share in heaviest(plan, name, "macs" if measure == "latency" else measure)]
    return Diagnostic(rule, f"{name}: {shown(now, measure)} {WORDS[measure]}, the budget is {getattr(limits, measure)}",
                      limits.place(measure), REMEDY, f"budget.{name}.{measure}", ("most of it is in " + ", ".join(told),) if told else ())


def shown(number: float, measure: str) -> str:
    """The number as people read it: whole things, or a time or size in three digits."""
    if measure in ("params", "macs"):
        return f"{number:,.0f}"
    units = {unit: factor for unit, factor in UNITS[measure].items() if measure != "activations" or "i" in unit or factor == 1}
    unit, factor = max(((unit, factor) for unit, factor in units.items() if factor <= max(number, 1)), key=lambda each: each[1])
    return f"{number / factor:.3g}{unit}" if number / factor < 1000 else f"{number / factor:.0f}{unit}"


def heaviest(plan: Plan, name: str, measure: str) -> list[tuple[str, float]]:
    """The nodes that cost most of a half, with their shares of it."""
    halves = parts_of(plan)
    roots = halves.get(name) or (*halves["encoder"], *halves["decoder"])
    own = dict(_own(roots, measure, _batch(plan)))
    whole = getattr(costs(plan)[name], measure)
    best = sorted(own, key=lambda path: -own[path])[:TOLD]
    return [(path, own[path] / whole) for path in best if own[path]]


def _own(roots: tuple[Node, ...], measure: str, batch: int) -> Iterator[tuple[str, float]]:
    for root in roots:
        for node in root.walk():
            if measure == "activations":
                yield node.path, node.kept * batch
            else:
                yield node.path, node.own_params if measure == "params" else node.macs


def ratio(plan: Plan, limits: Mapping[tuple[str, str], float]) -> float:
    """The largest share of a limit that the plan takes; above 1 it does not fit. `limits` are by half and measure."""
    known = costs(plan)
    return max(float(getattr(known[name], measure)) / most for (name, measure), most in limits.items())


def exact_limits(plan: Plan) -> dict[tuple[str, str], float]:
    """The limits that a plan answers for, by half and measure."""
    budget = plan.spec.budget
    return {} if budget is None else {(name, measure): most for name, limits in budget.halves()
                                      for measure, most in limits.numbers().items() if measure != "latency"}
