"""A picture of what the model does: originals, reconstructions and samples in rows."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace
from io import BytesIO
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from aebuild.data.text import one_line
from aebuild.lang.printable import clean
from aebuild.lang.values import Sequence, Vector
from aebuild.modules.masks import MASKED
from aebuild.modules.patches import VISIBLE
from aebuild.modules.randomness import derive, random_modules
from aebuild.modules.stage import taken
from aebuild.results.drawing import INKS, cell_size, draw_sample, is_image
from aebuild.results.judged_split import judged_split
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.phase import reseed_all
from aebuild.trainer.progress.formatting import code_size
from aebuild.trainer.run_dir.atomic_files import replace_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.lang.samples import Form
    from aebuild.lang.splits import Splits
    from aebuild.lang.values import Value
    from aebuild.modules.autoencoder import Autoencoder

GAP = 3
MARGIN = 16
WIDEST = 1600      # rows that would be wider are broken


@dataclass(frozen=True)
class Row:
    """Samples that belong together, [n, ...], their caption, and what to draw behind curves."""

    caption: str
    value: Value
    samples: NDArray[np.float32]
    behind: NDArray[np.float32] | None = None
    form: Form | None = None

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of a sample."""
        return cell_size(self.value, self.form)

    @property
    def told(self) -> str:
        """The caption, and what each sample says."""
        return "".join(f"{line}\n" for line in (self.caption, *(f"  {one_line(self._words(sample))}" for sample in self.samples), ""))

    def _words(self, sample: NDArray[np.float32]) -> str:
        assert self.form is not None
        return self.form.spelled(sample.astype(np.int64)) or ""


@dataclass(frozen=True)
class Picture:
    """Where the picture is, and what could not be drawn and why."""

    path: Path
    notes: tuple[str, ...] = ()


def draw_picture(plan: Plan, model: Autoencoder, splits: Splits, path: Path) -> Picture:
    """Writes a PNG with `evaluate.pictures` originals, their reconstructions and as many samples.

    A corruption gets a row of its own: what the encoder sees in training. Samples are left out, with a note, where the
    design refuses them. Of texts the same is written as text beside it. ResourceError if the file cannot be written.
    """
    rows, notes = _rows(plan, model, splits)
    return _drawn(plan, splits, plan.spec.name, rows, path, notes)


def draw_rows(plan: Plan, splits: Splits, title: str, rows: Seq[tuple[str, NDArray[np.float32]]], path: Path) -> Picture:
    """Writes a PNG with rows of samples of the target's type, each under its caption."""
    return _drawn(plan, splits, title, [Row(caption, plan.target, samples) for caption, samples in rows], path, [])


def _drawn(plan: Plan, splits: Splits, title: str, rows: list[Row], path: Path, notes: list[str]) -> Picture:
    form = plan.spec.data.form(splits.info)
    rows = [replace(row, form=form) for row in rows]
    canvas = _layout(title, rows, _limits(plan, rows))
    _legend(canvas, plan, splits, title)
    stored = BytesIO()
    canvas.save(stored, "PNG", optimize=True)
    replace_file(path, stored.getvalue())
    texts = [row for row in rows if row.form is not None and row.form.letters]
    if texts:
        replace_file(path.with_suffix(".txt"), "".join(row.told for row in texts).encode())
        notes.append(f"the same as text: {path.with_suffix('.txt')}")
    return Picture(path, tuple(notes))


@torch.no_grad()
def _rows(plan: Plan, model: Autoencoder, splits: Splits) -> tuple[list[Row], list[str]]:
    name, split = judged_split(splits)
    loader = SplitLoader(split, next(model.parameters()).device)
    batch = loader.slice(0, min(plan.spec.evaluate.pictures, loader.samples))
    randoms, seed = random_modules(model.eval()), derive(plan.spec.train.seed, "picture")
    target, x, context, notes = _array(batch.target), batch.x, batch.context(), []
    rows = [Row(f"originals, from the {name} split", plan.target, target)]
    if len(model.corruptions):
        reseed_all(randoms, seed, 0)
        for corruption in model.corruptions:
            x = taken(corruption, x, context)
        behind = _array(batch.x) if x.shape == batch.x.shape else None
        rows.append(Row("corrupted, as the encoder sees them in training", plan.encoder.input, _array(_marked(x, context, plan)), behind))
    elif batch.target is not batch.x:
        rows.append(Row("inputs", plan.input, _array(batch.x)))
    reseed_all(randoms, seed, 1)
    rebuilt = model.decode(model.code_of(model.features(x, context), x, context).value, context)
    size = code_size(plan.latent.values, plan.latent.bits)
    framed = "" if plan.target.dtype == "float32" else ", marked where they are wrong"
    rows.append(Row(f"reconstructions, through a code of {size}{framed}", plan.target, _array(rebuilt), target))
    if "sample" in model.refusals:
        notes.append(f"no samples: {model.refusals['sample']}")
    else:
        reseed_all(randoms, seed, 2)
        count, told = plan.spec.evaluate.pictures, batch.conditions
        if told is not None:
            told = told.repeat(-(-count // len(told)), 1)[:count]
        like = "" if told is None else ", told what is known of the originals"
        rows.append(Row(f"samples, from codes drawn at random{like}", plan.target, _array(model.sample(count, told))))
    return rows, notes


def _marked(x: Tensor, context: dict[str, Any], plan: Plan) -> Tensor:
    """What the encoder sees, with patches that it does not see half-way between the least and the greatest value."""
    if VISIBLE not in context:
        return x
    low, high = (plan.bounds.low, plan.bounds.high) if plan.bounds.within(-inf, inf) else (float(x.min()), float(x.max()))
    assert low is not None and high is not None
    return x.masked_fill(context[MASKED], (low + high) / 2)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return found


def _limits(plan: Plan, rows: list[Row]) -> tuple[float, float]:
    """The values shown as black and white, or as bottom and top: the data's range, else that of the originals."""
    if plan.bounds.low is not None and plan.bounds.high is not None:
        return plan.bounds.low, plan.bounds.high
    low, high = float(rows[0].samples.min()), float(rows[0].samples.max())
    room = 0.0 if is_image(plan.target) else 0.05 * (high - low)
    return low - room, high + room


def _layout(title: str, rows: list[Row], limits: tuple[float, float]) -> Image.Image:
    """Title, then each row's caption over its cells, broken into lines that fit the width."""
    caption_font, title_font = ImageFont.load_default(14), ImageFont.load_default(20)
    widest = max(row.cell[0] for row in rows)
    columns = max(1, min(max(len(row.samples) for row in rows), (WIDEST + GAP) // (widest + GAP)))
    width = max(columns * (widest + GAP) - GAP, *(int(caption_font.getlength(row.caption)) for row in rows), 320) + 2 * MARGIN
    lines = [-(-len(row.samples) // columns) for row in rows]
    height = MARGIN + 30 + sum(26 + count * (row.cell[1] + GAP) + 8 for row, count in zip(rows, lines, strict=True))
    canvas = Image.new("RGB", (width, height + MARGIN // 2), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((MARGIN, MARGIN - 4), title, fill="#11151c", font=title_font)
    top = MARGIN + 30
    for row, count in zip(rows, lines, strict=True):
        pen.text((MARGIN, top + 4), row.caption, fill="#5a6472", font=caption_font)
        _paste(canvas, row, limits, columns, top + 26)
        top += 26 + count * (row.cell[1] + GAP) + 8
    return canvas


def _legend(canvas: Image.Image, plan: Plan, splits: Splits, title: str) -> None:
    """Which curve is which column, and how many steps it has, to the right of the title; what does not fit is left out."""
    names = splits.info.target_columns or splits.info.columns or ()
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    left = MARGIN + int(ImageFont.load_default(20).getlength(title)) + 24
    match plan.target:
        case Sequence(length=length):
            words = [(INKS[place % len(INKS)], clean(name)) for place, name in enumerate(names)] + [("", f"{length:,} steps")]
        case Vector():
            words = [("", clean(f"columns {', '.join(names)}"))] if names else []
        case _:
            words = []
    for ink, word in words:
        wide = int(font.getlength(word)) + (22 if ink else 0)
        if left + wide > canvas.width - MARGIN:
            return
        if ink:
            pen.line((left, MARGIN + 8, left + 16, MARGIN + 8), fill=ink, width=3)
        pen.text((left + (22 if ink else 0), MARGIN), word, fill="#5a6472", font=font)
        left += wide + 18


def _paste(canvas: Image.Image, row: Row, limits: tuple[float, float], columns: int, top: int) -> None:
    wide, high = row.cell
    for number, sample in enumerate(row.samples):
        line, column = divmod(number, columns)
        behind = None if row.behind is None else row.behind[number]
        place = (MARGIN + column * (wide + GAP), top + line * (high + GAP))
        canvas.paste(draw_sample(row.value, sample, limits, behind, row.form), place)
