"""The model as tables: layers, code, asymmetry, memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from aebuild.compile.memory import FLOAT, Memory, kept, memory_of
from aebuild.compile.plan import Plan
from aebuild.compile.reach import gradient_path, receptive_field, receptive_fields
from aebuild.lang.node import Node
from aebuild.lang.values import elements


def summary(plan: Plan) -> Iterator[RenderableType]:
    """One table for each half, then the code, the halves side by side, the loss and the memory."""
    yield Text.assemble((plan.spec.name, "bold"), f"  {plan.input} → {plan.latent.code} → {plan.target}")
    for name, half in plan.halves():
        yield ""
        yield half_table(name, half)
    yield ""
    yield code_line(plan)
    yield asymmetry(plan)
    yield loss_table(plan)
    if plan.shorter is not None:
        yield visible_line(plan, plan.shorter)
    yield memory_line(plan, memory_of(plan))
    yield training_line(plan)


def half_table(name: str, half: Node) -> Table:
    """The half's layers: node, kind, output type, parameters, MACs, receptive field (places it sees), written or inserted."""
    table = Table(title=name, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in ("node", "kind", "output"):
        table.add_column(column, no_wrap=True)
    for column in ("parameters", "MACs", "sees"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for node, field in receptive_fields(half):
        seen = "all" if field is None else "×".join(map(str, field))
        table.add_row(node.path, node.kind, str(node.output), count(node.own_params), count(node.macs), seen,
                      "inserted" if node.inserted else "", style="dim" if node.inserted else "")
    table.add_row("total", "", str(half.output), count(half.params), count(half.all_macs), "", "", style="bold")
    return table


def code_line(plan: Plan) -> Text:
    """How much smaller the code is than the data, in values and in bits."""
    values, latent = elements(plan.target), plan.latent
    depth = plan.target.bits(plan.bounds.low is not None)
    numbers = latent.bits == 32 * latent.values and plan.target.dtype == "float32"
    continuous = f"{latent.values:,} of {values:,} values (1 : {values / latent.values:.1f}), " if numbers else ""
    return Text.assemble(("code ", "bold"), f"{latent.code}: {continuous}{latent.bits:,.0f} of {values * depth:,.0f} bits "
                         f"(1 : {values * depth / latent.bits:.1f}, {depth:.3g} bits a value of the data)")


def asymmetry(plan: Plan) -> Table:
    """Depth, width, parameters, cost, activations and reach of the two halves."""
    table = Table(title="asymmetry", title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in ("", "encoder", "decoder", "decoder / encoder"):
        table.add_column(column, justify="left" if not column else "right")
    down, up = (half_figures(plan, name) for name in ("encoder", "decoder"))
    for key, name in FIGURES.items():
        first, second = down[key], up[key]
        told = size if key == "activations" else count
        table.add_row(name, told(first), told(second), f"{second / first:.2f}" if first else "")
    field, places = down["receptive_field"], plan.input.places
    if places:
        table.add_row("a place of the encoder's output sees", "all" if field is None else "×".join(map(str, field)),
                      "of " + "×".join(map(str, places)), "")
    return table


FIGURES = {"depth": "depth (layers with weights)", "gradient_path": "longest gradient path (layers)", "width": "widest layer",
           "parameters": "parameters", "macs": "MACs", "activations": "activations of a batch"}


def half_figures(plan: Plan, name: str) -> dict[str, Any]:
    """The encoder's or the decoder's layers alone, in numbers; activations in bytes, the receptive field in places along each axis."""
    half = plan.encoder if name == "encoder" else plan.decoder
    batch = max(phase.batch_size for phase in plan.phases)
    field = receptive_field(half) if half.input.places else None
    return {"depth": sum(node.macs > 0 for node in half.walk()), "gradient_path": gradient_path(half),
            "width": max((node.output.features for node in half.walk() if node.macs), default=0), "parameters": half.params,
            "macs": half.all_macs, "activations": kept(plan, name, half) * batch * FLOAT,
            "receptive_field": None if field is None else list(field)}


def loss_table(plan: Plan) -> Table:
    """The named terms, their weights and who minimises them."""
    table = Table(title="loss", title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in ("term", "weight", "over", "player"):
        table.add_column(column)
    for term in plan.terms:
        weight = term.config.weight
        text = f"{weight:g}" if isinstance(weight, int | float) else "schedule"
        table.add_row(term.name, text, f"{term.config.reduction} of {term.elements:,}", term.player)
    return table


def visible_line(plan: Plan, shorter: Node) -> Text:
    """How many patches the encoder sees in training, and what it then computes."""
    seen = next(node for node in shorter.walk() if node.kind == "visible")
    return Text.assemble(("masking ", "bold"), f"in training the encoder sees {seen.output.places[0]:,} of {seen.input.places[0]:,} "
                         f"patches: {shorter.all_macs:,} of {plan.encoder.all_macs:,} MACs")


def memory_line(plan: Plan, memory: Memory) -> Text:
    """What training takes at the batch size."""
    return Text.assemble(("memory ", "bold"), f"about {size(memory.total)} at batch size {plan.spec.train.batch_size}: "
                         f"parameters {size(memory.parameters)}, gradients {size(memory.gradients)}, "
                         f"optimiser {size(memory.optimizer)}, activations {size(memory.activations)}")


def training_line(plan: Plan) -> Text:
    """How long each phase is, as far as the headers of the data tell."""
    lengths = [f"{phase.name} {f'{phase.epochs:,} epochs' if phase.epochs else f'{phase.steps:,} steps'} in batches of {phase.batch_size:,}"
               for phase in plan.phases]
    return Text.assemble(("training ", "bold"), ", ".join(lengths))


def count(number: int) -> str:
    """A count with separators; nothing for zero."""
    return f"{number:,}" if number else ""


def size(number: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.0f} {unit}" if unit in ("B", "KiB") else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError
