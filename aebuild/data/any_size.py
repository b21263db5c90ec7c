"""Samples of sizes of their own, laid out as pieces of a size that a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

from aebuild.data.audio import Recordings, resampled_length, stretch_at_rate
from aebuild.data.errors import fault
from aebuild.data.formats import sound
from aebuild.data.image_decoding import image_places
from aebuild.data.image_folder import ImageFiles
from aebuild.data.raw_samples import Samples, even_blocks
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.splits import Chunks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Places = tuple[int, ...]
UNFIT_SIZE = Rule("AE435", "samples of a size that a model cannot take so", """\
A model takes samples of the size that it was trained on. `--fit` says what becomes of others: `crop` takes their middle, `pad` takes each
as a whole, reflected at its ends to a size that the model can take, `tile` cuts pieces that overlap and joins the results. A model of
convolutions alone takes larger samples as a whole; one with a layer that sees everything at once has one size, and can only tile. What is
smaller than the model's size can be padded and tiled, not cropped.

```console
$ aebuild reconstruct runs/dense large_photos/ --fit pad     # its linear layers have one size: refused
```
```console
$ aebuild reconstruct runs/dense large_photos/ --fit tile --overlap 8
```
""")


class Originals(Protocol):
    """Samples [C, *places] as they are stored, each of a size of its own."""

    def __len__(self) -> int:
        """How many there are."""

    def name(self, row: int) -> str:
        """What a message calls this one."""

    def places(self, row: int) -> Places:
        """Its extents."""

    def cut(self, row: int, start: Places, stop: Places) -> NDArray[Any]:
        """What lies between two corners, [C, *(stop - start)]."""


def originals(samples: Samples, places: Places) -> Originals:
    """Raw samples without what their reader did to bring them to one size; of others all have these `places`."""
    if isinstance(samples, ImageFiles):
        return _Pictures(samples)
    if isinstance(samples, Recordings) and samples.spectrogram is None:
        return _Waves(samples)
    return _Alike(samples, places)


@dataclass
class _Alike:
    """Samples that have one size anyway."""

    samples: Samples
    extents: Places

    def __len__(self) -> int:
        return len(self.samples)

    def name(self, row: int) -> str:
        return self.samples.name(row)

    def places(self, row: int) -> Places:
        return self.extents

    def cut(self, row: int, start: Places, stop: Places) -> NDArray[Any]:
        import numpy as np

        found: NDArray[Any] = self.samples.take(np.asarray([row]))[0][(slice(None), *map(slice, start, stop))]
        return found


class _Pictures:
    """Images as large as their files have them; the last one is kept."""

    def __init__(self, files: ImageFiles) -> None:
        self.files = files
        self._last: tuple[int, NDArray[Any]] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def name(self, row: int) -> str:
        return self.files.name(row)

    def places(self, row: int) -> Places:
        return image_places(self.files.picture(row))

    def cut(self, row: int, start: Places, stop: Places) -> NDArray[Any]:
        if self._last is None or self._last[0] != row:
            decoder = self.files.decoder
            whole = replace(decoder, look=replace(decoder.look, size=image_places(self.files.picture(row))), resize=False)
            self._last = row, whole.one(self.files.picture(row))
        return self._last[1][(slice(None), *map(slice, start, stop))]


class _Waves:
    """Recordings as long as their files have them, read and brought to their rate stretch by stretch."""

    def __init__(self, recordings: Recordings) -> None:
        self.recordings = recordings

    def __len__(self) -> int:
        return len(self.recordings)

    def name(self, row: int) -> str:
        return self.recordings.name(row)

    def places(self, row: int) -> Places:
        head = sound.header(self.recordings.files[row])
        return (resampled_length(head.frames, head.rate, self.recordings.rate),)

    def cut(self, row: int, start: Places, stop: Places) -> NDArray[Any]:
        file, rate = self.recordings.files[row], self.recordings.rate
        head = sound.header(file)
        if head.rate == rate:
            return sound.read(file, start[0], stop[0])[0][None]
        return stretch_at_rate(file, head.rate, rate, head.frames, start[0], stop[0])[None]


@dataclass(frozen=True)
class Laid:
    """How one sample is laid out: its extents, those after padding at the far ends, and where pieces begin along each axis.

    `kept` are the extents of what results are of.
    """

    row: int
    places: Places
    kept: Places
    padded: Places
    starts: tuple[Places, ...]

    @property
    def corners(self) -> list[Places]:
        """Where each piece begins, in raster order."""
        return list(product(*self.starts))


def cropped(row: int, places: Places, size: Places, name: str) -> Laid:
    """The middle of a sample; DataError if it is smaller."""
    if any(have < want for have, want in zip(places, size, strict=True)):
        raise fault(UNFIT_SIZE, f"{name} is {times(places)}, too small to cut {times(size)} out of it", Hint("--fit pad, or --fit tile"))
    return Laid(row, places, size, places, tuple(((have - want) // 2,) for have, want in zip(places, size, strict=True)))


def whole(row: int, places: Places, padded: Places) -> Laid:
    """A sample in one piece."""
    return Laid(row, places, places, padded, ((0,),) * len(places))


def tiled(row: int, places: Places, size: Places, overlap: Places, period: Places) -> Laid:
    """Pieces of that size that overlap by at least so much and begin at multiples of `period`."""
    starts = []
    for have, want, shared, step in zip(places, size, overlap, period, strict=True):
        end = -(-max(0, have - want) // step) * step
        stride = max(step, (want - shared) // step * step)
        starts.append(tuple(range(0, end, stride)) + (end,))
    return Laid(row, places, places, tuple(begun[-1] + want for begun, want in zip(starts, size, strict=True)), tuple(starts))


def chained(row: int, places: Places, size: Places) -> Laid:
    """Pieces of that size that follow each other, the last one beyond the end."""
    starts = tuple(tuple(range(0, have, want)) for have, want in zip(places, size, strict=True))
    return Laid(row, places, places, tuple(begun[-1] + want for begun, want in zip(starts, size, strict=True)), starts)


@dataclass
class Pieces:
    """Pieces [C, *size] of samples as samples, those of one sample after the other; reflected beyond its far ends."""

    held: Originals
    laid: Sequence[Laid]
    size: Places

    def __post_init__(self) -> None:
        self.places = [(number, corner) for number, each in enumerate(self.laid) for corner in each.corners]

    def __len__(self) -> int:
        return len(self.places)

    def name(self, row: int) -> str:
        """The sample, and where the piece begins."""
        number, corner = self.places[row]
        whole = self.held.name(self.laid[number].row)
        return whole if len(self.laid[number].corners) == 1 else f"{whole}, the piece from {', '.join(map(str, corner))}"

    @property
    def chunks(self) -> Chunks:
        """Where the pieces lie that follow each other along one axis."""
        import numpy as np

        starts = np.asarray([corner[0] for _, corner in self.places])
        ends = np.asarray([self.laid[number].places[0] for number, _ in self.places])
        return Chunks(starts == 0, starts, np.minimum(ends - starts, self.size[0]))

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Pieces [n, C, *size]."""
        import numpy as np

        return np.stack([self._piece(*self.places[row]) for row in index.tolist()])

    def blocks(self) -> NDArray[np.int64]:
        """Pieces that follow each other."""
        return even_blocks([0, len(self)])

    def _piece(self, number: int, corner: Places) -> NDArray[Any]:
        import numpy as np

        laid = self.laid[number]
        stop = tuple(min(begin + want, have) for begin, want, have in zip(corner, self.size, laid.places, strict=True))
        missing = tuple(begin + want - end for begin, want, end in zip(corner, self.size, stop, strict=True))
        start = tuple(max(0, min(begin, end - more - 1)) for begin, end, more in zip(corner, stop, missing, strict=True))
        found = self.held.cut(laid.row, start, stop)
        if any(missing):
            found = np.pad(found, [(0, 0), *((0, more) for more in missing)], "reflect")
        return found[(slice(None), *(slice(begin - first, None) for begin, first in zip(corner, start, strict=True)))]


def times(places: Places) -> str:
    """Extents as people write them."""
    return "×".join(map(str, places))
