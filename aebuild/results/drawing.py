"""Samples as small pictures: images enlarged without blur, tokens as coloured squares, everything else as curves."""

from __future__ import annotations

from colorsys import hsv_to_rgb
from math import ceil
from typing import TYPE_CHECKING, assert_never

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aebuild.lang.samples import Form
from aebuild.lang.values import Grid, Sequence, Tokens, Value, Vector
from aebuild.results.text_drawing import draw_text, text_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 84              # wanted longer side of an image's cell, in pixels
LARGEST = 160          # images above this are made smaller
CURVES = (150, 96)     # width and height of a cell with curves
INKS = ("#1f5fa8", "#d1495b", "#3a7d44", "#e09f3e", "#6d597a", "#00798c")
SHADE = "#c4c9d1"
LINE = 16              # tokens in a line, or more where they are very many
SQUARE = 20            # edge of a token's square
GOLDEN = 0.618034      # share of the colour circle between a number's colour and the next one's


def is_image(value: Value) -> bool:
    """True if samples of this type are drawn as images: grids of two axes, and slices of those of three."""
    return value.axes >= 2


def cell_size(value: Value, form: Form | None = None) -> tuple[int, int]:
    """Width and height of the cell of one sample; `form` spells tokens that are text."""
    match value:
        case Grid(size=(height, width)):
            return _enlarged(height, width)
        case Grid(size=(depth, height, width)):
            rows, columns = _blocks(depth)
            return _enlarged(rows * (height + 1) - 1, columns * (width + 1) - 1, LARGEST)
        case Vector() | Grid() | Sequence():
            return CURVES
        case Tokens():
            if form is not None and form.letters:
                return text_size(value.length, form)
            columns, edge = _squares(value)
            return columns * edge, ceil(value.length / columns) * edge
        case _:
            assert_never(value)


def _enlarged(height: int, width: int, side: int = SIDE) -> tuple[int, int]:
    longest = max(height, width)
    if longest > LARGEST:
        return max(1, round(width * LARGEST / longest)), max(1, round(height * LARGEST / longest))
    factor = max(1, min(round(side / longest), LARGEST // longest))
    return width * factor, height * factor


def draw_sample(value: Value, sample: NDArray[np.float32], limits: tuple[float, float],
                behind: NDArray[np.float32] | None = None, form: Form | None = None) -> Image.Image:
    """One sample as a picture of its cell's size; values are shown between the limits.

    `behind` is another sample, shown as grey curves behind this one's; images do not use it. `form` spells tokens that are text.
    """
    match value:
        case Grid() if is_image(value):
            flat = sample if sample.ndim == 3 else _slices(sample, sum(limits) / 2)
            return _image(flat, limits).resize(cell_size(value), _filter(flat, cell_size(value)))
        case Vector() | Grid() | Sequence():
            return _curves(_channels(value, sample), limits, None if behind is None else _channels(value, behind))
        case Tokens():
            if form is not None and form.letters:
                return draw_text(sample.astype(np.int64), cell_size(value, form), form, behind)
            return _symbols(value, sample, behind)
        case _:
            assert_never(value)


def _filter(sample: NDArray[np.float32], size: tuple[int, int]) -> Image.Resampling:
    """Nearest neighbour to enlarge, so that each pixel of the data is seen; an average to make smaller."""
    return Image.Resampling.NEAREST if size[0] >= sample.shape[-1] else Image.Resampling.LANCZOS


def _blocks(depth: int) -> tuple[int, int]:
    """How many slices of a volume, or frames of a clip, stand below and beside each other: four, or as many as there are."""
    return (2, 2) if depth >= 4 else (1, depth)


def _slices(sample: NDArray[np.float32], gap: float) -> NDArray[np.float32]:
    """Evenly spaced slices of [C, D, H, W] as one image, row by row, with a line of the value `gap` between two."""
    channels, depth, height, width = sample.shape
    rows, columns = _blocks(depth)
    shown = np.full((channels, rows, height + 1, columns, width + 1), gap, np.float32)
    for place in range(rows * columns):
        shown[:, place // columns, :height, place % columns, :width] = sample[:, (2 * place + 1) * depth // (2 * rows * columns)]
    return shown.reshape(channels, rows * (height + 1), columns * (width + 1))[:, :-1, :-1]


def _image(sample: NDArray[np.float32], limits: tuple[float, float]) -> Image.Image:
    """[C, H, W]: colour for three channels, else the mean of the channels in grey."""
    low, high = limits
    levels = np.clip((sample - low) / max(high - low, 1e-12), 0, 1) * 255
    levels = np.nan_to_num(levels).round().astype(np.uint8)
    if len(levels) == 3:
        return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
    grey = levels[0] if len(levels) == 1 else levels.mean(0).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(grey)).convert("RGB")


def _channels(value: Vector | Grid | Sequence, sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """The curves of a sample, [curves, points]: features over time, channels over places, a vector as one curve."""
    match value:
        case Vector():
            return sample.reshape(1, -1)
        case Grid():
            return sample.reshape(value.features, -1)
        case Sequence():
            return sample.T
        case _:
            assert_never(value)


def _symbols(value: Tokens, sample: NDArray[np.float32], behind: NDArray[np.float32] | None) -> Image.Image:
    """Tokens as coloured squares in lines, a colour for each number, which is written in it where it fits.

    Where a token is not the one `behind` it, it is framed.
    """
    columns, edge = _squares(value)
    picture = Image.new("RGB", cell_size(value), "#f6f7f9")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(8, edge // 2))
    for place, token in enumerate(sample.astype(np.int64).tolist()):
        left, top = place % columns * edge, place // columns * edge
        wrong = behind is not None and token != int(behind[place])
        hue = token * GOLDEN % 1
        ink = tuple(round(255 * part) for part in hsv_to_rgb(hue, 0.35, 0.95))
        pen.rectangle((left, top, left + edge - 2, top + edge - 2), fill=ink, outline=INKS[1] if wrong else None, width=2 if wrong else 0)
        if font.getlength(str(token)) < edge - 2 and edge > 9:
            pen.text((left + edge / 2 - 1, top + edge / 2 - 1), str(token), fill="#11151c", font=font, anchor="mm")
    return picture


def _squares(value: Tokens) -> tuple[int, int]:
    """How many tokens stand in a line, and the edge of each one's square in pixels."""
    columns = ceil(value.length / ceil(value.length / max(LINE, ceil(value.length ** 0.5))))
    return columns, max(2, min(SQUARE, 2 * LARGEST // columns))


def _curves(lines: NDArray[np.float32], limits: tuple[float, float], behind: NDArray[np.float32] | None) -> Image.Image:
    sharp = 3                                       # drawn larger and reduced, for smooth lines
    width, height = CURVES[0] * sharp, CURVES[1] * sharp
    picture = Image.new("RGB", (width, height), "#f6f7f9")
    pen = ImageDraw.Draw(picture)
    if limits[0] < 0 < limits[1]:
        zero = _points(np.zeros(2, np.float32), limits, width, height)
        pen.line(zero, fill="#dfe3e8", width=sharp)
    for curve in behind if behind is not None else ():
        pen.line(_points(curve, limits, width, height), fill=SHADE, width=2 * sharp, joint="curve")
    for number, curve in enumerate(lines):
        pen.line(_points(curve, limits, width, height), fill=INKS[number % len(INKS)], width=round(1.4 * sharp), joint="curve")
    return picture.resize(CURVES, Image.Resampling.LANCZOS)


def outline(curve: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """A curve of at most so many points: where there are more, the least and the greatest of each stretch in turn."""
    if len(curve) <= most:
        return curve
    starts = np.linspace(0, len(curve), most // 2, endpoint=False).astype(np.int64)
    return np.stack([np.minimum.reduceat(curve, starts), np.maximum.reduceat(curve, starts)], 1).reshape(-1)


def _points(curve: NDArray[np.float32], limits: tuple[float, float], width: int, height: int) -> list[tuple[float, float]]:
    """A curve's points in pixels, with a margin of four percent; a single value becomes a level line."""
    low, high = limits
    curve = np.repeat(curve, 2) if len(curve) == 1 else outline(curve, 2 * width)
    share = np.clip((np.nan_to_num(curve) - low) / max(high - low, 1e-12), 0, 1)
    across = np.linspace(0.04, 0.96, len(curve)) * width
    down = (0.96 - 0.92 * share) * height
    return list(zip(across.tolist(), down.tolist(), strict=True))
