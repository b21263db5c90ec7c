"""Clips: folders of frames, or animated images, as grids of time, height and width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.class_folders import PART_NAMES, entries
from aebuild.data.errors import fault, shown
from aebuild.data.image_decoding import Decoder, Picture, count_frames, picture_file
from aebuild.data.image_folder import IMAGES
from aebuild.data.probe import plural
from aebuild.data.rules import TOO_FEW, UNKNOWN_KIND
from aebuild.lang.diagnostics import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ANIMATED = (".gif", ".webp", ".tif", ".tiff")

SHORT_CLIP = Rule("AE866", "a clip that is shorter than wanted", """\
All samples of a model have as many frames. `length` frames are taken from the start of each clip, every `every`-th one; a clip that has
not so many is no sample. Without `length` it is that of the shortest clip.

```yaml
data: {type: video, path: clips/, length: 64}     # clips/a has 40 frames
encoder: {layer: conv, width: 8, stride: 2}
```
```yaml
data: {type: video, path: clips/, length: 40}
encoder: {layer: conv, width: 8, stride: 2}
```
""")


@dataclass(frozen=True)
class Clip:
    """One clip: the images of its frames in order, or one file that holds them all."""

    place: Path
    files: tuple[Path, ...]
    frames: int

    def picture(self, frame: int) -> Picture:
        """A frame, to be opened."""
        return picture_file(self.files[frame]) if len(self.files) > 1 else picture_file(self.files[0], frame)


@dataclass
class Reel:
    """The clips of each part with their classes, if any; `others` counts files that are none."""

    clips: dict[str, list[Clip]] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    others: int = 0

    @property
    def names(self) -> tuple[str, ...] | None:
        """The classes in order of their names."""
        return tuple(sorted({name for held in self.classes.values() for name in held})) or None

    def labels(self) -> dict[str, NDArray[np.int64]]:
        """The number of each clip's class, by part."""
        import numpy as np

        numbers = {name: number for number, name in enumerate(self.names or ())}
        return {part: np.asarray([numbers[name] for name in held], np.int64) for part, held in self.classes.items()}

    def every(self) -> Iterator[Clip]:
        """The clips of all parts."""
        return (clip for held in self.clips.values() for clip in held)

    def below(self, folder: Path, part: str) -> dict[str, list[str]]:
        """The folder or file of each clip, below `folder`."""
        return {"file": [clip.place.relative_to(folder).as_posix() for clip in self.clips[part]]}


def list_clips(folder: Path) -> Reel:
    """The clips in a folder: directly in it, in one folder a class, or either of these under train and test.

    A clip is a folder of images, frames in order of their names, or a GIF, WebP or TIFF of several frames.
    """
    reel = Reel()
    files, folders, others = entries(folder, IMAGES)
    parts = {inner: PART_NAMES[inner.name.lower()] for inner in folders if inner.name.lower() in PART_NAMES}
    whole = bool(parts) and len(parts) == len(folders) and not files
    for inner, part in parts.items() if whole else ((folder, "train"),):
        _list_part(inner, part, reel)
    reel.others += others if whole else 0
    labelled = [part for part in reel.clips if part in reel.classes]
    if 0 < len(labelled) < len(reel.clips):
        raise fault(UNKNOWN_KIND, f"{shown(folder)}: some parts have one folder a class and others have none")
    if not any(reel.clips.values()):
        raise fault(TOO_FEW, f"{shown(folder)} holds no clips: no folder of images, and no animated {', '.join(ANIMATED)}")
    return reel


def _list_part(folder: Path, part: str, reel: Reel) -> None:
    clips, deeper = _clips_of(folder, reel)
    inside = [(inner, _clips_of(inner, reel)[0]) for inner in deeper]
    classes = [(inner, found) for inner, found in inside if found]
    if clips and classes:
        raise fault(UNKNOWN_KIND, f"{shown(folder)} holds clips beside folders of clips ({shown(clips[0].place.name)}, "
                    f"{shown(classes[0][0].name)}/); it is either clips or one folder a class")
    reel.clips[part] = clips or [clip for _, found in classes for clip in found]
    if classes:
        reel.classes[part] = [inner.name for inner, found in classes for _ in found]


def _clips_of(folder: Path, reel: Reel) -> tuple[list[Clip], list[Path]]:
    """The clips that stand in a folder, and the folders in it that are none."""
    files, folders, others = entries(folder, IMAGES)
    found, deeper = [], []
    for file in files:
        frames = count_frames(file) if file.suffix.lower() in ANIMATED else 1
        if frames > 1:
            found.append(Clip(file, (file,), frames))
        else:
            others += 1
    for inner in folders:
        images, _, passed = entries(inner, IMAGES)
        still = [image for image in images if image.suffix.lower() not in ANIMATED]
        if len(still) > 1:
            found.append(Clip(inner, tuple(still), len(still)))
            others += passed + len(images) - len(still)
        else:
            deeper.append(inner)
    reel.others += others
    return sorted(found, key=lambda clip: clip.place.name), deeper


def clip_length(reel: Reel, length: int | None, every: int) -> tuple[int, tuple[str, ...]]:
    """Frames of a sample, and what to say of clips that are longer; DataError where one is shorter."""
    counts = [-(-clip.frames // every) for clip in reel.every()]
    chosen = length or min(counts)
    short = next((clip for clip, count in zip(reel.every(), counts, strict=True) if count < chosen), None)
    if short is not None:
        raise fault(SHORT_CLIP, f"{shown(short.place)} has {plural(short.frames, 'frame')}, and {chosen:,} are wanted"
                    + (f", every {every}th one" if every > 1 else ""), f"length: {min(counts)}")
    cut = sum(count > chosen for count in counts)
    return chosen, (f"{plural(cut, 'clip')} longer than {chosen:,} frames are cut at the end",) if cut else ()


@dataclass
class Clips:
    """Clips decoded when they are taken: `length` frames of each from its start, every `every`-th one."""

    clips: Sequence[Clip]
    decoder: Decoder
    length: int
    every: int

    def __len__(self) -> int:
        return len(self.clips)

    def name(self, row: int) -> str:
        """The clip's path."""
        return shown(self.clips[row].place)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Clips [n, C, length, H, W]."""
        rows: list[int] = index.tolist()

        def picture(place: int) -> Picture:
            row, frame = divmod(place, self.length)
            return self.clips[rows[row]].picture(frame * self.every)

        images: NDArray[Any] = self.decoder.all(range(len(rows) * self.length), picture)
        return images.reshape(len(rows), self.length, *images.shape[1:]).swapaxes(1, 2)
