"""A diagram as SVG, written by hand, and as PNG made of that."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError
from aebuild.lang.printable import clean
from aebuild.results.diagram_shapes import BLANK, SMALL, Drawing, Role, Scale, Shape, Wire, Words

NO_PNG = Rule("AE552", "a PNG needs another package", """
A diagram is written as SVG, which every browser, word processor and LaTeX takes. To make a PNG of it aebuild uses the package resvg-py,
the extra `diagram`, which is not installed.

```console
$ aebuild diagram vae -o vae.png       # without resvg-py: refused
$ pip install resvg-py
$ aebuild diagram vae -o vae.png
```
""")
FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
INK, GREY, PALE = "#1c2733", "#66717d", "#b9c2cc"
FILLS: dict[Role, tuple[str, str]] = {"weights": ("#8fb8de", "#3f6f9f"), "plain": ("#e3e8ee", "#8b98a5"), "data": ("#ffffff", "#1c2733"),
                                      "code": ("#f0a35e", "#b3661d"), "frame": ("none", "#c3ccd6"), "cell": ("none", "none"),
                                      "half": ("#66717d", "none"), "sum": ("#ffffff", "#66717d")}
MARGIN = 18.0
ZOOM = 2.0            # pixels of a PNG for one of a web page


def svg_text(drawing: Drawing, scale: Scale) -> str:
    """The drawing and its legend as an SVG document; text stays text, in fonts that papers are set in."""
    left, top, right, bottom = drawing.extents()
    whole = Drawing()
    whole.add(drawing)
    legend = _legend(scale)
    whole.add(legend, left, bottom + 26)
    left, top, right, bottom = (edge + sign * MARGIN for edge, sign in zip(whole.extents(), (-1, -1, 1, 1), strict=True))
    box = f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{right - left:.0f}" height="{bottom - top:.0f}" '
             f'font-family="{FONTS}">',
             f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="#ffffff"/>']
    frames = ("frame", "cell", "half")
    lines += [_shape(shape) for shape in whole.shapes if shape.role in frames]
    lines += [line for wire in whole.wires for line in _wire(wire)]
    lines += [_sum(shape) if shape.role == "sum" else _shape(shape) for shape in whole.shapes if shape.role not in frames]
    lines += [_words(words) for words in whole.words]
    return "\n".join([*lines, "</svg>", ""])


def png_bytes(svg: str) -> bytes:
    """The picture of an SVG document, at twice its size; UsageError if the package for it is not there."""
    import importlib

    try:
        resvg = importlib.import_module("resvg_py")
    except ImportError as error:
        lacking = Diagnostic(NO_PNG, "a PNG needs the package resvg-py, which is not installed", fix="pip install resvg-py")
        raise UsageError(lacking) from error
    return bytes(resvg.svg_to_bytes(svg_string=svg, zoom=ZOOM, background="#ffffff"))


def _shape(shape: Shape) -> str:
    fill, line = FILLS[shape.role]
    dash = ' stroke-dasharray="3 2"' if shape.inserted and shape.role != "cell" else ""
    radius = 4 if shape.role == "frame" else 1.5
    nodes = f' data-nodes="{escape(" ".join(shape.nodes))}"' if shape.nodes else ""
    fill = "#ffffff" if shape.inserted and shape.role in ("plain", "weights") else fill
    return (f'<rect{nodes} x="{shape.x:.2f}" y="{shape.y:.2f}" width="{shape.width:.2f}" height="{shape.height:.2f}" rx="{radius}" '
            f'fill="{fill}" stroke="{line}" stroke-width="0.8"{dash}><title>{_text(shape.title)}</title></rect>')


def _sum(shape: Shape) -> str:
    """A circle with a plus, which not every font has."""
    radius = shape.width / 2
    x, y = shape.x + radius, shape.y + radius
    fill, line = FILLS["sum"]
    cross = f"M{x - radius:.2f} {y:.2f}H{x + radius:.2f}M{x:.2f} {y - radius:.2f}V{y + radius:.2f}"
    return (f'<g stroke="{line}" stroke-width="0.9"><circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}" fill="{fill}"/>'
            f'<path d="{cross}" fill="none"/></g>')


def _wire(wire: Wire) -> Iterator[str]:
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in wire.points)
    style = f'stroke="{PALE}" stroke-width="0.5" stroke-dasharray="1 2"' if wire.dashed else f'stroke="{GREY}" stroke-width="0.9"'
    yield f'<polyline points="{points}" fill="none" {style} stroke-linejoin="round"/>'
    if wire.arrow:
        yield _arrow(wire)


def _arrow(wire: Wire) -> str:
    """A head at the end of a wire, in the direction of its last stretch, which runs down or across."""
    (before_x, before_y), (x, y) = wire.points[-2:]
    across, down = (0, 1 if y > before_y else -1) if x == before_x else (1 if x > before_x else -1, 0)
    back_x, back_y = x - 4 * across, y - 4 * down
    points = f"{x:.2f},{y:.2f} {back_x + 2.2 * down:.2f},{back_y + 2.2 * across:.2f} {back_x - 2.2 * down:.2f},{back_y - 2.2 * across:.2f}"
    return f'<polygon points="{points}" fill="{GREY}"/>'


def _words(words: Words) -> str:
    turned = f' transform="rotate(-90 {words.x:.2f} {words.y:.2f})"' if words.turned else ""
    bold = ' font-weight="bold"' if words.bold else ""
    small = f'<tspan dx="{BLANK:g}" font-size="{SMALL:g}" font-weight="normal" fill="{GREY}">'
    more = f"{small}{_text(words.more)}</tspan>" if words.more else ""
    return (f'<text x="{words.x:.2f}" y="{words.y + words.size * 0.35:.2f}" font-size="{words.size:g}" text-anchor="{words.anchor}" '
            f'fill="{INK if words.tone == "ink" else GREY}"{bold}{turned}>{_text(words.text)}{more}</text>')


def _text(text: str) -> str:
    return escape(clean(text))


def _legend(scale: Scale) -> Drawing:
    """What widths, thickness and colours mean, in one line below the drawing."""
    drawing = Drawing()
    kind = "logarithmic" if scale.logarithmic else "linear"
    drawing.words.append(Words(0.0, 0.0, f"width: values of a sample, {kind}", 7.5, tone="grey"))
    x = drawing.words[-1].length + 8
    for tick in scale.ticks():
        width = scale.width(tick)
        drawing.shapes.append(Shape((), "plain", x, -2.0, width, 4.0))
        drawing.words.append(Words(x + width + 3, 0.0, f"{tick:,}", 7.5, tone="grey"))
        x += width + drawing.words[-1].length + 12
    most = f"{scale.parameters:,}"
    drawing.words.append(Words(0.0, 18.0, f"thickness: parameters, logarithmic, up to {most}", 7.5, tone="grey"))
    x = drawing.words[-1].length + 14
    roles: tuple[tuple[Role, bool, str], ...] = (("weights", False, "with weights"), ("plain", False, "without"),
                                                 ("plain", True, "inserted by the compiler"), ("code", False, "the code"),
                                                 ("data", False, "data"))
    for role, inserted, told in roles:
        drawing.shapes.append(Shape((), role, x, 13.0, 14.0, 10.0, inserted=inserted))
        drawing.words.append(Words(x + 18, 18.0, told, 7.5, tone="grey"))
        x += 18 + drawing.words[-1].length + 12
    return drawing
