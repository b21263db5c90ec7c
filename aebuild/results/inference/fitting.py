"""New samples of other sizes than those that a run was trained on: cropped, padded or cut into pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from aebuild.data.any_size import UNFIT_SIZE, Laid, Originals, Pieces, Places, chained, cropped, originals, tiled, times, whole
from aebuild.data.errors import fault
from aebuild.data.labels import words_of
from aebuild.data.new_advice import remedy
from aebuild.data.new_samples import PARTS, STRANGE, NewData, new_data
from aebuild.data.probe import plural
from aebuild.data.raw_samples import Raw
from aebuild.lang.conditioning import Reader
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.lang.samples import silent
from aebuild.lang.values import Grid
from aebuild.lang.values import Sequence as Series
from aebuild.results.inference.blending import Joining, Seams
from aebuild.results.inference.chunks import chunk_size, in_chunks
from aebuild.results.inference.codes import reconstruct_batches
from aebuild.results.inference.given import ALL, Given, conditioned
from aebuild.results.inference.new_data import raw_samples
from aebuild.results.inference.other_size import at_size, input_of, period_of, reach_of, scale_of
from aebuild.results.inference.passes import Progress, unseen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.results.trained_run import TrainedRun

Fit = Literal["crop", "pad", "tile", "stream"]
AGREED = 1e-5            # of the model's units: what is left is rounding
CORNERS = {1: ("start",), 2: ("top", "left"), 3: ("front", "top", "left")}
UNLIKE = Rule("AE436", "sizes that do not go together", """\
Tiles overlap by fewer places than they have. An array holds samples, or codes, of one size: of samples of unlike sizes a folder of pictures
or sounds can be written, and codes of tiles, which all have one size.

```console
$ aebuild reconstruct runs/unet photos/ --fit tile -o again.npz     # photos of unlike sizes: refused
```
```console
$ aebuild reconstruct runs/unet photos/ --fit tile -o again
```
""")


@dataclass
class Fitted:
    """New samples as pieces that a model takes, `groups` of one size each, and how results are joined again.

    `trained` is what the model was trained on. Each group is the run at that size, its pieces as new data, and how its samples were laid
    out, in the order of the samples.
    """

    trained: Grid
    groups: list[tuple[TrainedRun, NewData, list[Laid]]]
    beside: dict[str, Sequence[str]]
    reach: tuple[Places, Places] | None
    notes: tuple[str, ...] = ()
    seams: Seams = field(default_factory=Seams)

    def __len__(self) -> int:
        return sum(len(laid) for _, _, laid in self.groups)

    @property
    def sizes(self) -> set[Places]:
        """The extents of all results."""
        return {tuple(have * by for have, by in zip(each.kept, scale_of(run), strict=True))
                for run, _, laid in self.groups for each in laid}

    def alone(self, what: str) -> NewData:
        """The pieces, of which `what` needs that they have one size: that of the model."""
        if len(self.groups) > 1:
            raise UsageError(Diagnostic(UNLIKE, f"{what} of samples of unlike sizes have no one size", fix=Hint("--fit tile")))
        return self.groups[0][1]

    def of_trained_size(self, what: str) -> NewData:
        """The pieces, of which `what` needs that they have the size that the model was trained on."""
        data = self.groups[0][1]
        if len(self.groups) > 1 or data.split.inputs.shape[1:] != self.trained.shape:
            told = f"{what} of samples larger than {times(self.trained.places)} do not compare with those that they are judged by"
            raise UsageError(Diagnostic(UNLIKE, told, fix=Hint("--fit tile, which scores each tile")))
        return data

    def reconstructions(self, progress: Progress = unseen) -> Iterator[NDArray[Any]]:
        """What the model makes of each sample, [1, C, *places], in the model's units."""
        for run, data, laid in self.groups:
            joining = Joining(run.plan.target.places, scale_of(run), self.reach, self.seams)
            yield from joining.whole(laid, reconstruct_batches(run, data, progress))

    @property
    def remark(self) -> str | None:
        """How well tiles met, once they were joined; None where none were."""
        if not any(len(each.corners) > 1 and data.split.chunks is None for _, data, laid in self.groups for each in laid):
            return None
        apart = self.seams.difference
        if apart is None:
            return "tiles that do not overlap meet in hard seams, which nothing measures: --overlap N"
        judged = "agree to" if apart < AGREED else "differ by"
        return f"where tiles overlap they {judged} {apart:.3g}, root mean square, in the model's units"


def fitted(run: TrainedRun, data: Any, how: Fit, overlap: int | None = None, settings: Sequence[str] = (),
           say: Callable[[str], None] = silent, given: Given | None = None, readers: Sequence[Reader] = ALL) -> Fitted:
    """New samples of any size; DataError or UsageError where the model cannot take them so.

    `overlap` of tiles is in places of the input; without it as far as the reach needs, or a quarter of a tile.
    """
    own = run.plan.input
    if not isinstance(own, Grid):
        kinds = "series and waveforms" if how == "stream" else "images, volumes and waveforms"
        raise fault(UNFIT_SIZE, f"the model takes {own}, and --fit {how} is for {kinds}",
                    Hint("leave --fit out, for windows that are merged again; encode and reconstruct take series whole by --fit stream"
                         if isinstance(own, Series) else "leave --fit out"))
    part, raw = raw_samples(run, data, settings, say)
    value = raw.outline.value
    if not isinstance(value, Grid) or value.axes != own.axes or value.channels != own.channels:
        raise fault(STRANGE, f"the new data are {value}, and the model takes {own}", Hint(remedy(part, own, value)), part=part,
                    at=("path",))
    held, labels, beside = _gathered(raw, value.places)
    if not len(held):
        raise fault(STRANGE, "there are no new samples", part=part, at=("path",))
    reach = reach_of(run) if how == "tile" else None
    longest = max(max(held.places(row)) for row in range(len(held))) if how == "stream" else 0
    shared = (0,) * value.axes if how == "stream" else _overlap(run, overlap, reach)
    layout = _Layout(run, how, shared, longest, codes="decoder" not in readers)
    laid = [layout.of(row, held) for row in range(len(held))]
    groups = []
    for size, some in groupby(laid, layout.size):
        sized, rows = layout.runs[size], list(some)
        pieces = Pieces(held, rows, size)
        told = _told(raw, pieces, rows, labels, beside)
        found = conditioned(sized, new_data(part, told, sized.info, run.scaling, run.target_scaling), given, readers)
        found.split.chunks = pieces.chunks if how == "stream" else None
        groups.append((sized, found, rows))
    return Fitted(own, groups, beside, reach, layout.notes(reach))


class _Layout:
    """Where samples are cut, and the run at each size that a piece has."""

    def __init__(self, run: TrainedRun, how: Fit, overlap: Places, longest: int, *, codes: bool) -> None:
        self.how, self.overlap = how, overlap
        self.tile, self.period = input_of(run).places, period_of(run)
        self.runs: dict[Places, TrainedRun] = {self.tile: run}
        self.run = run
        if how == "stream":
            self.tile = (chunk_size(run, longest),)
            self.runs = {self.tile: in_chunks(run, self.tile[0], codes=codes)}

    def of(self, row: int, held: Originals) -> Laid:
        """How one sample is laid out."""
        places = held.places(row)
        if self.how == "crop":
            return cropped(row, places, self.tile, held.name(row))
        if self.how == "stream":
            return chained(row, places, self.tile)
        if self.how == "tile":
            return tiled(row, places, self.tile, self.overlap, self.period)
        padded = tuple(tile + -(-max(0, have - tile) // step) * step
                       for have, tile, step in zip(places, self.tile, self.period, strict=True))
        if padded not in self.runs:
            larger = at_size(self.run, padded)
            if larger is None:
                raise fault(UNFIT_SIZE, f"{held.name(row)} is {times(places)}, and this model has layers that take {times(self.tile)} "
                            "alone", Hint("--fit tile"))
            self.runs[padded] = larger
        return whole(row, places, padded)

    def size(self, laid: Laid) -> Places:
        """The size of its pieces."""
        return laid.padded if self.how == "pad" else self.tile

    def notes(self, reach: tuple[Places, Places] | None) -> tuple[str, ...]:
        """What is to be said of tiles."""
        if self.how == "stream":
            return (f"taken in chunks of {times(self.tile)}, each of which goes on where the one before it ended",)
        if self.how != "tile":
            return ()
        told = f"tiles of {times(self.tile)} overlap by {times(self.overlap)} or more"
        if reach is None:
            return (f"{told}; each place of a result depends on the whole tile, so that tiles meet only about",)
        needed = tuple(-(-(near + far) // by) for near, far, by in zip(*reach, scale_of(self.run), strict=True))
        enough = all(have > want for have, want in zip(self.overlap, needed, strict=True))
        return (f"{told}; results depend on {times(needed)} places around" +
                (", so that they are those of the whole" if enough else f": an overlap of {max(needed) + 1} would leave no seam"),)


def _overlap(run: TrainedRun, asked: int | None, reach: tuple[Places, Places] | None) -> Places:
    """By how much tiles overlap, along each axis."""
    size = input_of(run).places
    if asked is not None:
        if not 0 <= asked < min(size):
            raise UsageError(Diagnostic(UNLIKE, f"tiles of {times(size)} cannot overlap by {asked:,}", fix=f"--overlap {min(size) // 4}"))
        return (asked,) * len(size)
    if reach is not None:
        needed = tuple(-(-(near + far) // by) + 1 for near, far, by in zip(*reach, scale_of(run), strict=True))
        if all(4 * want <= 3 * have for want, have in zip(needed, size, strict=True)):
            return needed
    return tuple(have // 4 for have in size)


class _Joined:
    """The originals of several parts of a folder, one after the other."""

    def __init__(self, held: Sequence[Originals]) -> None:
        self.rows = [(each, row) for each in held for row in range(len(each))]

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, row: int) -> str:
        each, inner = self.rows[row]
        return each.name(inner)

    def places(self, row: int) -> Places:
        each, inner = self.rows[row]
        return each.places(inner)

    def cut(self, row: int, start: Places, stop: Places) -> NDArray[Any]:
        each, inner = self.rows[row]
        return each.cut(inner, start, stop)


def _gathered(raw: Raw, places: Places) -> tuple[Originals, NDArray[Any] | None, dict[str, Sequence[str]]]:
    """All samples, their labels by class number, and the cells beside them."""
    import numpy as np

    names = [name for name in PARTS if name in raw.x and len(raw.x[name])]
    held = _Joined([originals(raw.x[name], places) for name in names])
    labels = np.concatenate([raw.labels.get(name, np.full(len(raw.x[name]), -1)) for name in names]) if raw.labels and names else None
    tables = [] if raw.beside is None else [raw.beside(name) for name in names]
    beside: dict[str, Sequence[str]] = {name: [cell for table in tables for cell in table[name]] for name in (tables[0] if tables else {})}
    if labels is not None:
        beside["label"] = list(words_of(labels, raw.outline.class_names or (), len(labels)))
    return held, labels, beside


def _told(raw: Raw, pieces: Pieces, laid: Sequence[Laid], labels: NDArray[Any] | None, beside: dict[str, Sequence[str]]) -> Raw:
    """The pieces as samples, with what is known of the samples that they are from, and where they begin."""
    owners = [laid[number].row for number, _ in pieces.places]
    corners = CORNERS[len(pieces.size)]
    cells = {name: [held[row] for row in owners] for name, held in beside.items() if name != "label"}
    cells |= {} if "file" in cells else {"sample": list(map(str, owners))}
    cells |= {name: [str(corner[axis]) for _, corner in pieces.places] for axis, name in enumerate(corners)}
    assert isinstance(raw.outline.value, Grid)
    outline = replace(raw.outline, value=raw.outline.value.with_places(pieces.size), target=None, counts={"train": len(pieces)})
    return Raw(outline, {"train": pieces}, {} if labels is None else {"train": labels[owners]}, beside=lambda part: cells)


def described(found: Fitted) -> str:
    """One sentence on what was read."""
    pieces = sum(len(data) for _, data, _ in found.groups)
    word = "tile" if found.groups[0][1].split.chunks is None else "chunk"
    return plural(len(found), "new sample") + ("" if pieces == len(found) else f", {plural(pieces, word)}")
