"""Nodes from top to bottom: boxes to scale, frames around what belongs together, types on the edges."""

from __future__ import annotations

from dataclasses import dataclass, field

from aebuild.lang.node import Node
from aebuild.lang.values import Value, elements
from aebuild.results.diagram_shapes import Drawing, Role, Scale, Shape, Wire, Words
from aebuild.results.diagram_words import label, title

GAP, TYPED = 9.0, 18.0          # between rows, and where the type stands there
PAD, LANE, HEAD = 6.0, 13.0, 14.0      # of a frame: air at its sides, room for a direct path at its left, its title
LEAST = 75.0                    # half the width of a column, so that types and titles fit
SUM = 7.0                       # the circle of a sum
CELL = 5                        # boxes that may share one row of text


@dataclass
class Column:
    """A chain of nodes that is being drawn downwards, centred at x = 0.

    `ends` has the shape of each path, `exits` the height of the edge behind it.
    """

    scale: Scale
    half: float                 # half the width of the boxes
    levels: int                 # frames in frames, from here inwards
    label_x: float = 0.0        # where the rows' texts begin
    y: float = 0.0
    drawing: Drawing = field(default_factory=Drawing)
    ends: dict[str, Shape] = field(default_factory=dict)
    exits: dict[str, float] = field(default_factory=dict)
    branches: frozenset[str] = frozenset()      # paths whose edge gets room for a wire that leaves it
    type_told: str = ""

    def __post_init__(self) -> None:
        self.label_x = self.half + self.levels * PAD + 12

    @property
    def left(self) -> float:
        """The left edge of the outermost frame."""
        return -self.half - self.levels * (PAD + LANE)

    def edge(self, value: Value, behind: str | None = None) -> None:
        """The arrow to the next row, with the type if it is another one than was told last."""
        new = str(value) != self.type_told
        top, self.y = self.y, self.y + (TYPED if new or behind in self.branches else GAP)
        self.drawing.wires.append(Wire(((0.0, top), (0.0, self.y))))
        if new:
            self.drawing.words.append(Words(-6, (top + self.y) / 2 - 0.5, str(value), 7.5, "end", "grey"))
            self.type_told = str(value)
        if behind is not None:
            self.exits[behind] = (top + self.y) / 2

    def bar(self, nodes: tuple[str, ...], value: Value, role: Role, text: str, *, bold: bool = False) -> None:
        """A box that is no layer: data, or the code."""
        width, height = max(2.0, self.scale.width(elements(value))), 14.0
        self._box(Shape(nodes, role, -width / 2, self.y, width, height, f"{text}: {value}"))
        self._words(text, self.y + height / 2, width, bold=bold)
        self.y += height

    def chain(self, nodes: tuple[Node, ...]) -> None:
        """Nodes one after another; what stands aside is left to others."""
        shown = [node for node in nodes if not node.aside]
        for number, node in enumerate(shown):
            self.place(node)
            if number < len(shown) - 1:
                self.edge(node.output, node.path)

    def place(self, node: Node, *outer: Node) -> None:
        """One node, in the frames of `outer` that hold nothing else."""
        inner = [child for child in node.children if not child.aside]
        if not inner or is_cell(node):
            self._cell(node, inner or [node], outer)
        elif is_wrapper(node):
            self.place(inner[0], *outer, node)
        else:
            self._frame(node, outer)
        for around in (*outer, node):
            self.ends[around.path] = self.drawing.shapes[self._first(around.path)]

    def _first(self, path: str) -> int:
        return next(number for number, shape in enumerate(self.drawing.shapes) if path in shape.nodes)

    def _cell(self, node: Node, boxes: list[Node], outer: tuple[Node, ...]) -> None:
        """A row: boxes that touch, and one text."""
        top, widest = self.y, 0.0
        place = len(self.drawing.shapes)
        for box in boxes:
            width, height = max(2.0, self.scale.width(elements(box.output))), self.scale.thickness(box.own_params)
            role: Role = "weights" if box.own_params else "plain"
            self._box(Shape((box.path,), role, -width / 2, self.y, width, height, title(box), box.inserted))
            self.y, widest = self.y + height, max(widest, width)
        names = (*(around.path for around in outer), *((node.path,) if boxes != [node] else ()))
        if names:
            self.drawing.shapes.insert(place, Shape(names, "cell", -widest / 2, top, widest, self.y - top, title(node)))
        parameters = sum(box.own_params for box in boxes)
        self._words(label(boxes, node), (top + self.y) / 2, widest, f"{parameters:,}" if parameters else "")

    def _frame(self, node: Node, outer: tuple[Node, ...]) -> None:
        top, level = self.y, self.levels
        self.levels -= 1                         # what is inside has less room
        names = " › ".join(around.kind for around in (*outer, node))
        direct = "order" in node.args
        body = [child for child in node.children if not direct or child.name in node.args["order"]]
        shortcut = [child for child in node.children if direct and child.name == "shortcut"]
        after = [child for child in node.children if child not in body and child not in shortcut]
        self.y += HEAD
        self.drawing.wires.append(Wire(((0.0, top), (0.0, self.y)), arrow=False))
        place = len(self.drawing.shapes)
        self.chain(tuple(body))
        if direct:
            self._direct(top, shortcut)
        if after:
            self.edge(after[0].input)
            self.chain(tuple(after))
        self.drawing.wires.append(Wire(((0.0, self.y), (0.0, self.y + PAD)), arrow=False))
        self.y, self.levels = self.y + PAD, level
        left, right = self.left, self.half + level * PAD
        paths = tuple(around.path for around in (*outer, node))
        asides = tuple(child.path for child in node.children if child.aside and child.silent)
        self.drawing.shapes.insert(place, Shape((*paths, *asides), "frame", left, top, right - left, self.y - top, title(node),
                                                node.inserted))
        self.drawing.words.append(Words(left + LANE + 2, top + HEAD / 2 + 0.5, names, 7.5, "start", "grey"))
        if asides:
            told = ", ".join(child.kind for child in node.children if child.path in asides)
            self.drawing.words.append(Words(self.label_x, top + HEAD / 2 - 2, told, 7.5, "start", "grey"))

    def _direct(self, top: float, shortcut: list[Node]) -> None:
        """The path beside the steps of a residual: from its input to the sum behind its last step."""
        lane, start, end = self.left - PAD - LANE / 2, top + 2.0, self.y + SUM
        boxes = [leaf for each in shortcut for leaf in each.walk() if not leaf.children]
        self.drawing.wires.append(Wire(((0.0, start), (lane, start), (lane, end), (-SUM / 2, end))))
        self.drawing.wires.append(Wire(((0.0, self.y), (0.0, end + SUM)), arrow=False))
        middle = (start + end) / 2 - 6.0 * len(boxes)
        for number, leaf in enumerate(boxes):
            self._box(Shape((leaf.path,), "weights" if leaf.own_params else "plain", lane - 4.5, middle + 12 * number, 9.0, 10.0,
                            title(leaf), leaf.inserted))
        for each in shortcut:
            place = len(self.drawing.shapes) - len(boxes)
            names = tuple(inner.path for inner in each.walk() if inner.children)
            self.drawing.shapes.insert(place, Shape(names, "cell", lane - 4.5, middle, 9.0, 12.0 * len(boxes) - 2, title(each)))
        self._box(Shape((), "sum", -SUM / 2, end - SUM / 2, SUM, SUM, "sum"))
        self.y = end + SUM

    def _box(self, shape: Shape) -> None:
        self.drawing.shapes.append(shape)

    def _words(self, text: str, y: float, width: float, more: str = "", *, bold: bool = False) -> None:
        """The text of a row, with a thin line from the box to it."""
        self.drawing.wires.append(Wire(((width / 2 + 3, y), (self.label_x - 4, y)), arrow=False, dashed=True))
        self.drawing.words.append(Words(self.label_x, y, text, bold=bold, more=more))


def is_wrapper(node: Node) -> bool:
    """True for a node that holds one other and nothing else, so that both can share a frame."""
    return len(node.children) == 1 and not node.children[0].aside and "order" not in node.args


def is_cell(node: Node) -> bool:
    """True for a node whose parts are few, have none themselves, and simply stand in a row of text."""
    inner = [child for child in node.children if not child.aside]
    return 0 < len(inner) <= CELL and len(inner) == len(node.children) and "order" not in node.args \
        and not any(child.children for child in inner)


def levels(node: Node) -> int:
    """How many frames stand in one another at most."""
    inner = [child for child in node.children if not child.aside]
    if not inner or is_cell(node):
        return 0
    deeper = max(levels(child) for child in inner)
    return deeper if is_wrapper(node) else deeper + 1
