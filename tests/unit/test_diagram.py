"""`aebuild diagram`: every node once, nothing over anything else, widths to scale, valid XML."""

from __future__ import annotations

import sys
from io import BytesIO
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import test_plugin_parts
from command_line import called
from models import fine
from PIL import Image

from aebuild.compile.front import load
from aebuild.lang.values import elements
from aebuild.results.diagram import diagram, scale_of
from aebuild.results.diagram_shapes import Drawing, Scale, Words, extent_of
from aebuild.results.diagram_svg import png_bytes, svg_text
from aebuild.results.opening import open_spec
from aebuild.results.shipped import shipped
from specs import seeded

RESIDUAL = """\
name: unet_like
data: {type: arrays, path: x.npz, shape: [3, 32, 32]}
encoder:
  - conv: {width: 32, stride: 2, norm: layer}
  - residual: {steps: [conv: {width: 64, stride: 2}, conv: {width: 64, activation: none}], activation: relu}
  - repeat: {times: 3, steps: [residual: [residual: [conv: 64], conv: {width: 64, activation: none}]]}
latent: {type: adversarial, dim: 16, discriminator: {layer: linear, width: [64, 64]}}
decoder: [conv: 64, skip: {from: encoder.1}, conv: 32, skip: {from: encoder.0}, conv: 16]
losses: {reconstruction: mse}
"""
DEEP = """\
data: {type: arrays, path: x.npz, shape: [784]}
encoder: {layer: linear, depth: 40, width: {from: 512, to: 64}}
latent: {type: gaussian, dim: 4}
"""
FRAMES = ("frame", "cell", "half")


def plan_of(text):
    return load("spec.yaml", text=text).require()


def overlap(one, other, slack=0.01):
    return one[0] < other[2] - slack and other[0] < one[2] - slack and one[1] < other[3] - slack and other[1] < one[3] - slack


def inside(one, other):
    return other[0] - 0.01 <= one[0] and other[1] - 0.01 <= one[1] and one[2] <= other[2] + 0.01 and one[3] <= other[3] + 0.01


def box(shape):
    return shape.x, shape.y, shape.x + shape.width, shape.bottom


def check(plan):
    drawing = diagram(plan)
    _every_node_once(plan, svg_text(drawing, scale_of(plan)))
    boxes = [shape for shape in drawing.shapes if shape.role not in FRAMES]
    for one, other in combinations(boxes, 2):
        assert not overlap(box(one), box(other)), (one, other)
    frames = [shape for shape in drawing.shapes if shape.role in ("frame", "cell")]
    for one, other in combinations(frames, 2):
        assert not overlap(box(one), box(other)) or inside(box(one), box(other)) or inside(box(other), box(one)), (one, other)
    for shape in boxes:
        for frame in frames:
            assert not overlap(box(shape), box(frame)) or inside(box(shape), box(frame)), (shape, frame)
    _children_are_in_their_frames(plan, drawing)
    for one, other in combinations(drawing.words, 2):
        assert not overlap(extent_of(one), extent_of(other)), (one, other)
    for words in drawing.words:
        assert not any(overlap(extent_of(words), box(shape)) for shape in boxes), words


def _every_node_once(plan, svg):
    root = ElementTree.fromstring(svg)
    told = [path for element in root.iter() for path in element.get("data-nodes", "").split()]
    assert sorted(told) == sorted(node.path for node in plan.nodes())


def _children_are_in_their_frames(plan, drawing):
    places = {path: shape for shape in drawing.shapes for path in shape.nodes}
    for node in plan.nodes():
        around = places[node.path]
        if around.role in ("frame", "cell"):
            for child in node.children:
                assert child.aside or inside(box(places[child.path]), box(around)), (node.path, child.path)


@pytest.mark.parametrize("name", list(shipped()))
def test_shipped_specs_are_drawn_without_overlaps(name, real_data):
    check(open_spec(shipped()[name]).require())


@pytest.mark.parametrize("text", [RESIDUAL, DEEP], ids=["residual", "deep"])
def test_deep_and_nested_models_are_drawn_without_overlaps(text):
    check(plan_of(text))


@pytest.mark.parametrize("seed", range(60))
def test_generated_specs_are_drawn_without_overlaps(seed):
    check(fine(seeded(seed)).plan)


@pytest.mark.parametrize("plugin", ["patchgan", "autoregressive"])
def test_critics_and_learned_priors_of_plugins_are_drawn_too(plugin):
    with test_plugin_parts.plugged(Path(__file__).parents[1] / "plugins" / f"{plugin}.py") as (part, *_):
        check(plan_of(f"encoder: {{layer: conv, width: 8, stride: 2}}\n{part.example}" if "encoder" not in part.example else part.example))


def test_widths_are_to_scale():
    plan = plan_of(RESIDUAL)
    scale, places = scale_of(plan), {path: shape for shape in diagram(plan).shapes for path in shape.nodes if shape.role not in FRAMES}
    main = [node for half in (plan.encoder, plan.decoder) for node in half.walk() if node.path in places and "shortcut" not in node.path]
    assert len(main) > 15
    for node in main:
        assert places[node.path].width == pytest.approx(scale.width(elements(node.output)))


def test_a_linear_scale_is_in_proportion_and_a_logarithmic_one_says_so():
    linear, far = Scale(10, 100, 5), Scale(8, 8 * 4 ** 6, 5)
    assert linear.width(50) / linear.width(100) == 0.5
    steps = [far.width(8 * 4 ** power) for power in range(7)]
    assert len({round(after - before, 6) for before, after in pairwise(steps)}) == 1
    assert "linear" in svg_text(Drawing(words=[Words(0, 0, "x")]), linear)
    assert "logarithmic" in svg_text(Drawing(words=[Words(0, 0, "x")]), far)
    assert all(far.smallest <= tick <= far.largest for tick in far.ticks())


def test_skips_heads_and_critics_are_wired():
    drawing = diagram(plan_of(RESIDUAL))
    told = " ".join(words.text for words in drawing.words)
    assert "skip from encoder.1" in told
    assert "latent.discriminator" in told
    assert sum(shape.role == "sum" for shape in drawing.shapes) == 7
    assert {"reconstruction", "adversarial", "discriminator"} <= {words.text for words in drawing.words}


def test_what_was_inserted_is_marked(real_data):
    plan = open_spec("vae").require()
    inserted = {node.path for node in plan.nodes() if node.inserted and not node.children}
    assert {path for shape in diagram(plan).shapes for path in shape.nodes if shape.inserted} == inserted


def test_text_cannot_break_out():
    drawing = Drawing(words=[Words(0, 0, '</text><script>&"\x1b\x00', more="<b>")])
    svg = svg_text(drawing, Scale(1, 10, 1))
    root = ElementTree.fromstring(svg)
    assert not [element for element in root.iter() if element.tag.endswith(("script", "}b"))]
    assert "<script" not in svg


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(RESIDUAL)
    return lambda *words: called(("diagram", *words), monkeypatch, capsys)


def test_the_verb_writes_svg_and_png(run, tmp_path):
    code, out, _ = run("spec.yaml")
    assert code == 0
    assert run("spec.yaml", "-o", "a.svg")[:2] == (0, "")
    assert (tmp_path / "a.svg").read_text() == out
    assert run("spec.yaml", "-o", "a.PNG")[0] == 0
    with Image.open(tmp_path / "a.PNG") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
        assert {(143, 184, 222), (240, 163, 94)} <= colours
        width = float(ElementTree.fromstring(out).get("width"))
        assert picture.width == pytest.approx(2 * width, abs=2)


def test_settings_and_wrong_words(run, tmp_path):
    assert "vector(5)" in run("spec.yaml", "--set", "latent.dim=5")[1]
    assert run("spec.yaml", "-o", "a.pdf")[0] == 2
    assert run("gone.yaml")[0] == 2
    assert run("spec.yaml", "-o", "spec.yaml/a.svg")[0] == 6
    assert run("spec.yaml", "-o", "none/a.svg")[0] == 0


def test_a_png_without_its_package_names_the_command(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    code, _, err = run("spec.yaml", "-o", "a.png")
    assert code == 2
    assert "AE552" in err
    assert "pip install resvg-py" in err


def test_letters_are_as_wide_as_the_drawing_thinks():
    """Rendered, no text is longer than its extent, whichever of the fonts is there."""
    text = Words(0, 0, "conv transpose 128 kernel 4 stride 2 · relu", more="131,200")
    svg = svg_text(Drawing(words=[text]), Scale(1, 10, 1))
    root = ElementTree.fromstring(svg)
    left = float(root.get("viewBox").split()[0])
    picture = Image.open(BytesIO(png_bytes(svg))).convert("L")
    row = picture.crop((0, 0, picture.width, 2 * 28)).point(lambda value: 255 * (value < 128))
    right = row.getbbox()[2] / 2 + left
    assert 0.6 * text.length < right <= text.length
