"""A model as a picture: the hourglass to scale, with skips, heads, critics and loss terms, read off the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from aebuild.compile.plan import Plan
from aebuild.lang.node import Node
from aebuild.lang.values import Value, elements
from aebuild.results.diagram_column import GAP, LEAST, Column, levels
from aebuild.results.diagram_shapes import Drawing, Scale, Shape, Wire, Words
from aebuild.results.diagram_words import code_words, headline, term_lines

ASIDE = 40.0          # between columns
TRACK = 9.0           # between skips that run side by side
LATENT, OUTPUT = "latent", "output"


def diagram(plan: Plan) -> Drawing:
    """The whole drawing: data, encoder, code and decoder from top to bottom, everything else at their sides."""
    scale = scale_of(plan)
    asides = list(_asides(plan))
    main = _main(plan, scale, frozenset(source for source, _, _ in asides))
    drawing = main.drawing
    skips = _skips(plan, main)
    _halves(plan, main, skips)
    right = drawing.extents()[2] + ASIDE
    floor = _terms(plan, drawing, right)
    _columns(asides, main, scale, right, floor)
    left, top = drawing.extents()[:2]
    drawing.words.append(Words(left, top - 22, headline(plan), 9.0, tone="grey"))
    drawing.words.append(Words(left, top - 38, plan.spec.name, 13.0, bold=True))
    return drawing


def scale_of(plan: Plan) -> Scale:
    """The scale that the plan's diagram is drawn to."""
    return Scale.of((elements(value) for value in _values(plan)), (node.own_params for node in plan.nodes()))


def _values(plan: Plan) -> Iterator[Value]:
    yield from (plan.input, plan.target, plan.latent.code)
    yield from (node.output for node in plan.nodes())


def _asides(plan: Plan) -> Iterator[tuple[str, str, Node]]:
    """What stands beside the hourglass: the path it reads from, its name, its node."""
    for _, half in (("encoder", plan.encoder), ("latent", plan.latent.node), ("decoder", plan.decoder)):
        for around, node in _beside(half):
            yield LATENT if half is plan.latent.node else around.path, node.path, node
    for head in plan.heads:
        yield head.source, f"heads.{head.name}", head.node
    for name, penalty in plan.penalties.items():
        if not penalty.node.silent:
            yield OUTPUT, name, penalty.node


def _beside(node: Node) -> Iterator[tuple[Node, Node]]:
    """The outermost networks below a node that stand aside, each with what it stands in; they are drawn with all that is inside."""
    for child in node.children:
        if child.aside and not child.silent:
            yield node, child
        else:
            yield from _beside(child)


def _main(plan: Plan, scale: Scale, branches: frozenset[str]) -> Column:
    halves = (plan.encoder, plan.latent.node, plan.decoder)
    depth = max(_inner(half) for half in halves[::2])
    column = Column(scale, _half_width(scale, _values(plan)), max(depth, levels(plan.latent.node)), branches=branches)
    column.bar((), plan.input, "data", "input", bold=True)
    column.edge(plan.input, None if plan.encoder.children else plan.encoder.path)
    _stage(column, plan.encoder)
    top = column.y
    column.place(plan.latent.node)
    column.edge(plan.latent.code)
    column.bar((), plan.latent.code, "code", code_words(plan), bold=True)
    column.ends[LATENT] = Shape((), "half", 0.0, top, 2.0, column.y - top)
    column.edge(plan.latent.code, LATENT)
    _stage(column, plan.decoder)
    column.bar((), plan.target, "data", "reconstruction", bold=True)
    if OUTPUT in branches:
        column.exits[OUTPUT] = column.y + GAP
        column.drawing.wires.append(Wire(((0.0, column.y), (0.0, column.y + GAP)), arrow=False))
    return column


def _inner(stage: Node) -> int:
    return max((levels(child) for child in stage.children), default=0)


def _half_width(scale: Scale, values: Iterator[Value]) -> float:
    return max(LEAST, max(scale.width(elements(value)) for value in values) / 2)


def _stage(column: Column, stage: Node) -> None:
    """A half's layers, with the edge behind the last."""
    top = column.y
    column.chain(stage.children)
    if stage.children:
        bottom = column.y
        column.edge(stage.output, stage.path)
    else:
        bottom = top
    column.ends[stage.path] = Shape((stage.path,), "half", 0.0, top, 2.0, max(2.0, bottom - top))


def _halves(plan: Plan, main: Column, skips: float) -> None:
    """Names at the left, each beside a line as long as its half."""
    x = skips - 14
    for half in (plan.encoder, plan.latent.node, plan.decoder):
        found = main.ends[half.path]
        main.drawing.shapes.append(Shape(found.nodes, "half", x, found.y, 2.0, found.height,
                                         half.path))
        told = half.path if half.children or half is plan.latent.node else f"{half.path}: empty"
        words = Words(x - 9, found.y + found.height / 2, told, 9.0, "middle", bold=True, turned=True)
        room = found.height >= words.length
        main.drawing.words.append(words if room else Words(x - 6, found.y + found.height / 2, told, 9.0, "end", bold=True))


def _skips(plan: Plan, main: Column) -> float:
    """Arcs from the steps that are read again to where they are read; returns how far left they reach."""
    sources = {key: path for path, key in plan.taps.items()}
    pairs = [(main.ends[sources[key]], main.ends[node.path]) for node in plan.decoder.walk() if node.path in main.ends
             for key in node.reads if key in sources]
    pairs.sort(key=lambda pair: pair[1].y - pair[0].y)
    x = main.left - 6
    for source, reader in pairs:                 # the longest outermost, so that they do not cross
        x -= TRACK
        start, end = source.bottom - min(5.0, source.height / 2), reader.y + reader.height / 2
        main.drawing.wires.append(Wire(((source.x, start), (x, start), (x, end), (reader.x - 2, end))))
    return x


def _terms(plan: Plan, drawing: Drawing, x: float) -> float:
    """The loss terms, at the right of the hourglass; returns where they end."""
    drawing.words.append(Words(x, 4.0, "loss", 9.0, bold=True))
    for number, (name, told) in enumerate(term_lines(plan), 1):
        drawing.words.append(Words(x, 4.0 + 14 * number, name, more=told))
    return 14.0 * (len(plan.terms) + 1)


def _columns(asides: Sequence[tuple[str, str, Node]], main: Column, scale: Scale, x: float, floor: float) -> None:
    """Heads, critics and other networks, each in a column of its own, wired to what it reads."""
    for source, name, aside in asides:
        node = _upright(aside)
        column = Column(scale, _half_width(scale, (inner.output for inner in node.walk())), levels(node))
        _aside(column, name, node)
        left, _, right, _ = column.drawing.extents()
        start = main.exits.get(source, main.y)
        down = max(start, floor) + 16
        main.drawing.add(column.drawing, x - left, down)
        main.drawing.wires.append(Wire(((0.0, start), (x - left, start), (x - left, down)), arrow=False))
        x += right - left + ASIDE / 2


def _upright(node: Node) -> Node:
    """A network that stands aside of the hourglass as one that is drawn by itself."""
    return replace(node, aside=node.silent, children=tuple(map(_upright, node.children)))


def _aside(column: Column, name: str, node: Node) -> None:
    place = len(column.drawing.shapes)
    column.y = 16.0
    column.drawing.wires.append(Wire(((0.0, 0.0), (0.0, 16.0))))
    column.drawing.words.append(Words(8.0, 4.0, name, 9.0, bold=True))
    if node.children:
        column.chain(node.children)
        silent = tuple(inner.path for inner in node.children if inner.aside and inner.silent)
        column.drawing.shapes.insert(place, Shape((node.path, *silent), "half", column.left - 8, 16.0, 2.0, column.y - 16, node.path))
    else:
        column.place(node)
