"""Samples written as people look at them: a folder of pictures, a table with names and units, a grid of pictures."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from aebuild.lang.columns import feature_names
from aebuild.lang.samples import DataInfo, Form
from aebuild.lang.values import Grid
from aebuild.results.drawing import cell_size, draw_sample, is_image
from aebuild.results.inference.row_files import ROWS, appearing, row_file
from aebuild.trainer.run_dir.atomic_files import storing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.dataset import Dataset
    from aebuild.lang.splits import Scaling
    from aebuild.lang.values import Value

GAP = 3
MOST_DRAWN = 400        # samples of a picture of all


class Pictures(Form):
    """A PNG a sample, named like the file that it came from, else by its number."""

    suffix = ""

    def write(self, place: Path, batches: Iterable[NDArray[Any]], beside: Mapping[str, Sequence[str]]) -> None:
        """Images [n, C, H, W] of bytes; one, three or four channels."""
        place.mkdir()
        names, number = beside.get("file"), 0
        for batch in batches:
            for image in batch:
                name = f"{number:06d}.png" if names is None else str(Path(_inside(names[number])).with_suffix(".png"))
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                image_of(image).save(place / name)
                number += 1


def image_of(levels: NDArray[Any]) -> Image.Image:
    """Levels [C, H, W] from 0 to 255 as an image of one, three or four channels."""
    whole = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return Image.fromarray(whole[0] if len(whole) == 1 else np.ascontiguousarray(whole.transpose(1, 2, 0)))


def _inside(name: str) -> str:
    """A file's name that stays in its folder."""
    return "/".join(part for part in Path(name).parts if part not in ("..", "/", "."))


class Columns(Form):
    """A .csv with a row a sample, or a row a step of each sample, and the data's columns by name."""

    suffix = ".csv"

    def __init__(self, names: Sequence[str] | None) -> None:
        self.names = names

    def by_name(self, batch: NDArray[Any]) -> dict[str, NDArray[Any]] | None:
        """Vectors [n, D] by the columns' names."""
        return None if self.names is None or batch.ndim != 2 else dict(zip(self.names, batch.T, strict=True))

    def write(self, place: Path, batches: Iterable[NDArray[Any]], beside: Mapping[str, Sequence[str]]) -> None:
        """Vectors [n, D] or sequences [n, T, D]."""
        with place.open("w", newline="", encoding="utf-8") as file:
            rows, done = csv.writer(file), 0
            for batch in batches:
                steps = batch.reshape(len(batch), -1, batch.shape[-1])
                if not done:
                    names = self.names or tuple(map(str, range(batch.shape[-1])))
                    rows.writerow([*beside, *(["sample", "step"] if batch.ndim == 3 else []), *names])
                for number, sample in enumerate(steps, done):
                    cells = [held[number] for held in beside.values()]
                    for step, values in enumerate(sample):
                        rows.writerow([*cells, *([number, step] if batch.ndim == 3 else []), *(f"{value:.7g}" for value in values)])
                done += len(batch)


def form_of(part: Dataset, info: DataInfo) -> Form | None:
    """How samples of these data are written in their own form; None where only arrays can hold them."""
    own = part.form(info)
    if own is not None:
        return own
    match info.target:
        case Grid(channels=1 | 3 | 4, size=(_, _)) if info.scale in ("unit", "signed"):
            return Pictures()
        case value if value.columns:
            return Columns(feature_names(info.target_range.fields) or info.target_columns or info.columns)
    return None


def as_bytes(scaled: NDArray[Any], kind: str) -> NDArray[Any]:
    """Values of [0, 1] or [-1, 1] as levels from 0 to 255."""
    return (scaled + 1) * 127.5 if kind == "signed" else scaled * 255


def endings(form: Form | None) -> tuple[str, ...]:
    """What samples of this form can be written as."""
    return tuple(dict.fromkeys(([] if form is None else [form.suffix]) + [".png", *ROWS]))


def write_samples(place: Path, batches: Iterable[NDArray[Any]], count: int, part: Dataset, info: DataInfo, scaling: Scaling,
                  beside: Mapping[str, Sequence[str]]) -> None:
    """Writes the model's samples, [n, ...] a batch, in the data's units by the ending of the name.

    A folder or the data's own ending is the data's own form, .png one picture of the first ones, .npz and .npy arrays; .parquet has the
    columns of a table by name.
    """
    form = form_of(part, info)
    ending = place.suffix.lower()
    if ending == ".png":
        _picture(place, batches, info, form)
    elif form is not None and ending == form.suffix:
        raw = (as_bytes(batch, info.scale) if isinstance(form, Pictures) else scaling.undo(batch) for batch in batches)
        with appearing(place) as partial:
            form.write(partial, raw, beside)
    else:
        with row_file(place, count, beside) as file:
            for batch in batches:
                file.add(**columns_of(form, ending, scaling.undo(batch)))


def columns_of(form: Form | None, ending: str, raw: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What a file of rows calls samples [n, ...]: the names of a table's columns where the file has columns, else `x`."""
    return (form.by_name(raw) if form is not None and ending == ".parquet" else None) or {"x": raw}


def _picture(place: Path, batches: Iterable[NDArray[Any]], info: DataInfo, form: Form | None) -> None:
    drawn: list[NDArray[Any]] = []
    for batch in batches:
        drawn += list(batch[:MOST_DRAWN - len(drawn)])
        if len(drawn) == MOST_DRAWN:
            break
    samples = np.stack(drawn)
    columns = min(len(samples), max(1, round(len(samples) ** 0.5)))
    store_picture(place, grid_of(info.target, samples, columns, limits_of(info, samples), form))


def limits_of(info: DataInfo, samples: NDArray[Any]) -> tuple[float, float]:
    """What is shown as black and white, or as bottom and top."""
    if info.target_range.low is not None and info.target_range.high is not None:
        return info.target_range.low, info.target_range.high
    low, high = float(samples.min()), float(samples.max())
    room = 0.0 if is_image(info.target) else 0.05 * (high - low)
    return low - room, high + room


def grid_of(value: Value, samples: NDArray[Any], columns: int, limits: tuple[float, float], form: Form | None = None) -> Image.Image:
    """Samples [n, ...] as a grid of small pictures with so many columns; `form` spells tokens that are text."""
    wide, high = cell_size(value, form)
    lines = -(-len(samples) // columns)
    canvas = Image.new("RGB", (columns * (wide + GAP) + GAP, lines * (high + GAP) + GAP), "white")
    for number, sample in enumerate(samples):
        line, column = divmod(number, columns)
        drawn = draw_sample(value, sample.astype(np.float32), limits, None, form)
        canvas.paste(drawn, (GAP + column * (wide + GAP), GAP + line * (high + GAP)))
    return canvas


def store_picture(place: Path, picture: Image.Image) -> None:
    """Writes a PNG, whole or not at all."""
    stored = BytesIO()
    picture.save(stored, "PNG", optimize=True)
    with appearing(place) as partial, storing(place, output=True):
        partial.write_bytes(stored.getvalue())


def store_animation(place: Path, pictures: Sequence[Image.Image], milliseconds: int = 80) -> None:
    """Writes a GIF or WebP that plays the pictures there and back, without end."""
    stored = BytesIO()
    frames = [*pictures, *pictures[-2:0:-1]]
    frames[0].save(stored, place.suffix[1:].upper(), save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)
    with appearing(place) as partial, storing(place, output=True):
        partial.write_bytes(stored.getvalue())
