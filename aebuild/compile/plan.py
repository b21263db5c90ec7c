"""The plan: a typed table of everything that will be built, computed and trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aebuild.compile.spec import Spec
from aebuild.compile.spec_hash import fingerprints
from aebuild.lang.families import Corruption, LatentPlan
from aebuild.lang.html_table import html_table
from aebuild.lang.node import Buildable, Node
from aebuild.lang.schedule import Dial
from aebuild.lang.terms import AUTOENCODER, Contribution, OutputPlan, TermPlan
from aebuild.lang.training import Average, Judge, Optimizer, Start
from aebuild.lang.values import Range, Value


@dataclass(frozen=True, eq=False)
class PlayerPlan:
    """Who trains: the parameters under `modules`, minimising `terms`."""

    name: str
    modules: tuple[str, ...]
    terms: tuple[str, ...]
    optimizer: Optimizer
    clip: float | None = None
    steps: int = 1
    through: bool = True          # its gradient goes through the forward pass, which it therefore makes itself


@dataclass(frozen=True, eq=False)
class PhasePlan:
    """A stretch of training: players in turn, for epochs or steps.

    `pair` is (encoder depth, "input" | "code") for one step of greedy layer-wise training, else None · `patience` is the number
    of epochs without a better validation score after which it ends before its time, None for never · `data` is what batches are
    made of: samples, or the codes that the frozen model gives them · under `freeze` nothing is trained · `start` is the run whose
    weights it begins with · `average` is how the weights are averaged · `rates` are factors of the learning rate below paths ·
    `judge` is the figure by which epochs are judged.
    """

    name: str
    players: tuple[PlayerPlan, ...]
    epochs: int | None
    steps: int | None
    batch_size: int
    pair: tuple[int, str] | None = None
    patience: int | None = None
    data: str = "samples"
    freeze: tuple[str, ...] = ()
    start: Start | None = None
    average: Average | None = None
    rates: dict[str, float] = field(default_factory=dict)
    judge: Judge | None = None


@dataclass(frozen=True, eq=False)
class HeadPlan:
    """A head: where it reads, its network and its number of outputs, those of a label or of columns."""

    name: str
    source: str
    node: Node
    classes: int
    columns: tuple[tuple[str, bool, int, int], ...] = ()         # as modules/answers.py has them; none where it predicts the label

    def contribution(self) -> Contribution:
        """The head as a part of the loss."""
        return Contribution(node=self.node, terms=(TermPlan(self.name, AUTOENCODER, 1),))


@dataclass(frozen=True, eq=False)
class DialPlan:
    """A number inside a module that changes while training."""

    path: str
    attribute: str
    dial: Dial


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything the module and the trainer are made from."""

    spec: Spec
    input: Value
    target: Value
    bounds: Range
    encoder: Node
    latent: LatentPlan
    decoder: Node
    output: OutputPlan
    heads: tuple[HeadPlan, ...]
    terms: tuple[TermPlan, ...]
    phases: tuple[PhasePlan, ...]
    penalties: dict[str, Contribution] = field(default_factory=dict)
    dials: tuple[DialPlan, ...] = ()
    taps: dict[str, str] = field(default_factory=dict)        # encoder step -> context key of a skip
    refusals: dict[str, str] = field(default_factory=dict)    # operation -> why this design cannot do it
    conditions: int = 0                                       # features of all that the model is told of a sample beside its values
    corruptions: tuple[Corruption, ...] = ()                  # each knowing what it stands between
    shorter: Node | None = None                               # what the encoder computes in training, where patches are hidden from it

    def halves(self) -> Iterator[tuple[str, Node]]:
        """Encoder, latent, decoder, heads, and losses with networks of their own, with their nodes."""
        yield "encoder", self.encoder
        yield "latent", self.latent.node
        yield "decoder", self.decoder
        for head in self.heads:
            yield f"heads.{head.name}", head.node
        for name, penalty in self.penalties.items():
            if not penalty.node.silent:
                yield f"penalties.{name}", penalty.node

    def nodes(self) -> Iterator[Node]:
        """Every node in order of execution."""
        for _, half in self.halves():
            yield from half.walk()

    @property
    def params(self) -> int:
        """Parameters of the whole model, the likelihood's own included."""
        own = sum(_size(shape) for shape in self.output.weights.values())
        return own + sum(half.params for _, half in self.halves())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one reconstruction."""
        return sum(half.reconstruction_macs for half in (self.encoder, self.latent.node, self.decoder))

    @cached_property
    def maths(self) -> dict[str, str]:
        """What the weights depend on, in short: two digests that a checkpoint remembers."""
        return fingerprints(self.spec)

    @property
    def model_phase(self) -> PhasePlan:
        """The last phase that trains on samples, by which the model is what it is."""
        return next((phase for phase in reversed(self.phases) if phase.data == "samples"), self.phases[-1])

    @property
    def autoregression(self) -> Node | None:
        """The step of the decoder that makes the data place by place, if one does."""
        return next((node for node in self.decoder.walk() if node.kind == "autoregression"), None)

    @property
    def calls_again(self) -> bool:
        """True if a loss calls encoder or decoder once more."""
        return any(called for _, called in self.called_again())

    def called_again(self) -> Iterator[tuple[Node, Mapping[str, int]]]:
        """What losses call again, with the nodes of the parts whose losses they are."""
        seen = set()
        for node in (*self.nodes(), *(penalty.node for penalty in self.penalties.values())):
            if isinstance(node.part, Buildable) and id(node.part) not in seen:
                seen.add(id(node.part))
                yield node, node.part.calls_again(node)

    def term(self, name: str) -> TermPlan:
        """The term of that name."""
        return next(term for term in self.terms if term.name == name)

    def _repr_html_(self) -> str:
        """For notebooks: each node with its type, parameters and cost."""
        rows = [(node.path, node.kind, node.output, node.own_params, node.macs, "inserted" if node.inserted else "")
                for node in self.nodes() if not node.silent]
        title = f"{self.spec.name}: {self.input} → {self.latent.code} → {self.target}, {self.params:,} parameters"
        return html_table(title, ("node", "kind", "output", "parameters", "MACs", ""), rows)

    def to_json(self) -> dict[str, Any]:
        """The flat table: nodes, terms, players and phases."""
        return {
            "name": self.spec.name, "input": str(self.input), "target": str(self.target), "range": str(self.bounds),
            "parameters": self.params, "macs": self.macs, "code": str(self.latent.code),
            "code_values": self.latent.values, "code_bits": self.latent.bits,
            "nodes": [node_row(node) for node in self.nodes() if not node.silent],
            "terms": [{"name": t.name, "player": t.player, "elements": t.elements, **dump_term(t)} for t in self.terms],
            "phases": [phase_row(phase) for phase in self.phases],
            "refusals": self.refusals,
        }


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def node_row(node: Node) -> dict[str, Any]:
    """One node as JSON."""
    return {"path": node.path, "kind": node.kind, "input": str(node.input), "output": str(node.output),
            "parameters": node.own_params, "macs": node.macs, "inserted": node.inserted, "args": node.args}


def dump_term(term: TermPlan) -> dict[str, Any]:
    """A term's weight and options as JSON."""
    return term.config.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def phase_row(phase: PhasePlan) -> dict[str, Any]:
    """One phase as JSON."""
    more = {"data": phase.data, "freeze": phase.freeze, "rates": phase.rates,
            **{name: part.model_dump(mode="json", exclude_defaults=True) for name, part in
               (("start", phase.start), ("average", phase.average), ("judge", phase.judge)) if part is not None}}
    return {"name": phase.name, "epochs": phase.epochs, "steps": phase.steps, "batch_size": phase.batch_size, "pair": phase.pair,
            "patience": phase.patience, **{key: value for key, value in more.items() if value and value != "samples"},
            "players": [{"name": p.name, "modules": p.modules, "terms": p.terms, "clip": p.clip, "steps": p.steps,
                         "optimizer": p.optimizer.model_dump(mode="json", by_alias=True)} for p in phase.players]}
