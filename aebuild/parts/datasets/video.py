"""A folder of clips."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from aebuild.data.errors import blamed, shown
from aebuild.data.image_decoding import Decoder, Look, look
from aebuild.data.probe import LEVELS, Outline, by_part, declared, describe, plural
from aebuild.data.video_clips import Clips, Reel, clip_length, list_clips
from aebuild.lang.dataset import DataInfo, Divided, OnDisk, OwnLabels, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

Pixels = Annotated[int, Field(ge=1)]


class Video(Sampled, Divided, OwnLabels, OnDisk):
    """A folder of clips, or of one folder a class; either may stand under train and test.

    A clip is a folder of images, its frames in order of their names, or an animated GIF, WebP or TIFF. A sample is a grid of time, height
    and width.
    """

    type: Literal["video"] = "video"
    example = ("data: {type: video, path: clips, limit: 8, labels: 4, classes: 2, length: 3, every: 2, size: 8}\n"
               "encoder: [conv: {width: 2, stride: 2}]\n"
               "train: {steps: 4, batch_size: 4}\n"
               "---\n"
               "data: {type: video, path: clips, channels: gray, shape: [1, 5, 6, 7]}\n"
               "encoder: [conv: {width: 2, stride: 2}]")
    also = ("videos", "clips", "movies", "frames_folder")
    foreign = {**dict.fromkeys(("frames", "num_frames", "n_frames", "clip_length", "clip_len"), "length"),
               **dict.fromkeys(("stride", "frame_step", "step", "skip", "frame_stride", "sampling_rate"), "every")}
    taken_for = ("images",)
    length: int | None = knob(None, "frames of a sample, from the start of each clip (default: those of the shortest clip)", affects="data",
                              ge=1)
    every: int = knob(1, "take every so many-th frame", affects="data", ge=1)
    size: Pixels | Annotated[list[Pixels], Field(min_length=2, max_length=2)] | None = knob(
        None, "height and width to resize and crop frames to (one number: a square)", affects="data")
    channels: Literal["gray", "rgb", "rgba"] | None = knob(
        None, "what frames are turned into (default: gray if the first frames are, else rgb)", affects="data")

    def type_of(self, shape: tuple[int, ...]) -> Value:
        """[C, T, H, W]."""
        return Grid(shape[0], shape[1:])

    def probe(self, where: Where) -> DataInfo:
        """Names of all files, headers of the first frames, and of animations those of each."""
        if self.shape is not None:
            return declared(self, bounds=(0.0, 255.0), labelled=self.classes is not None)
        with blamed(self, "path"):
            return describe(self, self._look(where)[0])

    def read(self, where: Where) -> Raw:
        """Clips [n, C, T, H, W]; only those that are used are decoded."""
        from aebuild.data.raw_samples import Raw

        with blamed(self, "path"):
            outline, reel, seen = self._look(where)
            decoder = Decoder(seen, self.channels, self._pixels is not None)
            x = {part: Clips(clips, decoder, outline.value.places[0], self.every) for part, clips in reel.clips.items()}
            return Raw(outline, x, reel.labels(), beside=partial(reel.below, where.base / self.path))

    def fixed(self, info: DataInfo) -> Self:
        """As many frames, of the same size and colours."""
        colours: dict[int, Literal["gray", "rgb", "rgba"]] = {1: "gray", 3: "rgb", 4: "rgba"}
        length, *size = info.value.places
        return self.but(length=length, size=size, channels=colours[info.value.features])

    @property
    def _pixels(self) -> tuple[int, int] | None:
        if self.size is None:
            return None
        return (self.size, self.size) if isinstance(self.size, int) else (self.size[0], self.size[1])

    def _look(self, where: Where) -> tuple[Outline, Reel, Look]:
        path = where.base / self.path
        reel = list_clips(path)
        first = [clip.picture(0) for clip in reel.every()]
        seen = look(first, self.channels, self._pixels)
        with blamed(self, "length"):
            length, notes = clip_length(reel, self.length, self.every)
        value = Grid(seen.value.features, (length, *seen.size))
        counts: dict[str, int | None] = {part: len(clips) for part, clips in reel.clips.items()}
        sentence = (f"{shown(path)}: {by_part(counts)} clips of {plural(length, 'frame')}, read as {value}, "
                    + (f"{plural(len(reel.names), 'class')}, one a folder" if reel.names else "no classes")
                    + (f"; passed over: {plural(reel.others, 'other file')}" if reel.others else ""))
        return Outline(value, counts, sentence, LEVELS.get(seen.numbers), labelled=reel.names is not None, class_names=reel.names,
                       notes=notes), reel, seen
