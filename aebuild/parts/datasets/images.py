"""A folder of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aebuild.data.errors import blamed, shown
from aebuild.data.image_decoding import Decoder, Look, look
from aebuild.data.image_folder import Album, ImageFiles, list_images
from aebuild.data.probe import LEVELS, Outline, by_part, declared, describe, plural
from aebuild.lang.dataset import DataInfo, Divided, OnDisk, OwnLabels, Pictured, Sampled, Streamable, Suggestion, Where
from aebuild.lang.part import knob
from aebuild.lang.values import elements

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw


class Images(Sampled, Divided, OwnLabels, Pictured, Streamable, OnDisk):
    """A folder of images, or of one folder a class; either may stand under train and test."""

    type: Literal["images"] = "images"
    example = ("data: {type: images, path: pictures, limit: 12, size: 5, pad: 1, labels: 6, classes: 2}\n"
               "---\n"
               "data: {type: images, path: pictures, shape: [3, 6, 7]}")
    also = ("image_folder", "folder")
    stored_as_images = True
    channels: Literal["gray", "rgb", "rgba"] | None = knob(
        None, "what the images are turned into; rgba keeps transparency, otherwise it is laid on white (default: gray if the first images "
        "are, else rgb)", affects="data")
    frames: Literal["first", "all"] | None = knob(
        None, "which of the pages or frames in a file (TIFF, GIF) are samples (default: first, and where there are more it is said)",
        affects="data")

    def probe(self, where: Where) -> DataInfo:
        """Names of all files and headers of the first images; with `frames: all` headers of all."""
        if self.shape is not None:
            return declared(self, bounds=(0.0, 255.0), labelled=self.classes is not None)
        with blamed(self, "path"):
            listing, seen = self._look(where)
            return describe(self, self._outline(where.base / self.path, listing, seen))

    def read(self, where: Where) -> Raw:
        """Images [n, C, H, W]; only those that are used are decoded."""
        from aebuild.data.raw_samples import Raw
        from aebuild.data.streamed import sentence, streams

        with blamed(self, "path"):
            listing, seen = self._look(where)
            outline = self._outline(where.base / self.path, listing, seen)
            size = sum(map(len, listing.files.values())) * elements(describe(self, outline).value) * (1 if seen.numbers == "uint8" else 4)
            streamed = streams(self, size)
            if streamed:
                outline = outline.told(sentence(self, size))
            decoder = Decoder(seen, self.channels, self.wanted_size is not None)
            x = {part: ImageFiles(files, decoder, listing.frames.get(part, ())) for part, files in listing.files.items()}
            return Raw(outline, x, listing.labels(), streamed=streamed, beside=partial(listing.below, where.base / self.path))

    def suggestion(self, where: Where) -> Suggestion:
        """A size, where the images differ or are large."""
        from aebuild.data.image_suggestion import suggest_size

        with blamed(self, "path"):
            return suggest_size(list_images(where.base / self.path, self.path).pictures("train"))

    def _look(self, where: Where) -> tuple[Album, Look]:
        listing = list_images(where.base / self.path, self.path)
        if self.frames == "all":
            listing = listing.spread()
        return listing, look(listing.pictures("train"), self.channels, self.wanted_size)

    def _outline(self, path: Path, listing: Album, seen: Look) -> Outline:
        counts: dict[str, int | None] = {part: len(files) for part, files in listing.files.items()}
        names = listing.names
        sentence = (f"{shown(path)}: {by_part(counts)} images, read as {seen.value}, "
                    + (f"{plural(len(names), 'class')}, one a folder" if names else "no classes")
                    + (f"; passed over: {plural(listing.others, 'other file')}" if listing.others else ""))
        return Outline(seen.value, counts, sentence, LEVELS.get(seen.numbers), labelled=names is not None,
                       class_names=names, notes=(*listing.notes, *seen.remarks(self)))
