"""A folder of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from aebuild.data.errors import blamed, fault, shown
from aebuild.data.image_decoding import Decoder, Look, look
from aebuild.data.image_folder import Album, ImageFiles, list_images
from aebuild.data.paired_images import UNPAIRED, partners
from aebuild.data.probe import LEVELS, Outline, by_part, declared, describe, plural
from aebuild.lang.dataset import DataInfo, Divided, OnDisk, OwnLabels, Pictured, Sampled, Streamable, Suggestion, Where
from aebuild.lang.part import knob
from aebuild.lang.values import elements

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw, Samples


class Images(Sampled, Divided, OwnLabels, Pictured, Streamable, OnDisk):
    """A folder of images, or of one folder a class; either may stand under train and test."""

    type: Literal["images"] = "images"
    example = ("data: {type: images, path: pictures, limit: 12, size: 5, pad: 1, labels: 6, classes: 2}\n"
               "---\n"
               "data: {type: images, path: pictures, shape: [3, 6, 7]}")
    also = ("image_folder", "folder")
    own_alone = ("target",)
    stored_as_images = True
    channels: Literal["gray", "rgb", "rgba"] | None = knob(
        None, "what the images are turned into; rgba keeps transparency, otherwise it is laid on white (default: gray if the first images "
        "are, else rgb)", affects="data")
    frames: Literal["first", "all"] | None = knob(
        None, "which of the pages or frames in a file (TIFF, GIF) are samples (default: first, and where there are more it is said)",
        affects="data")

    target: str | None = knob(
        None, "folder of what is to be made of the images, relative to the spec: each has a partner of the same name there, of any ending",
        affects="data", min_length=1)

    def located(self, base: Path) -> Self:
        """With absolute paths of both folders."""
        found = super().located(base)
        return found if self.target is None else found.but(target=str((base / self.target).absolute()))

    def probe(self, where: Where) -> DataInfo:
        """Names of all files and headers of the first images; with `frames: all` headers of all."""
        if self.shape is not None and self.target is None:
            return declared(self, bounds=(0.0, 255.0), labelled=self.classes is not None)
        with blamed(self, "path"):
            listing, seen = self._look(where)
            return describe(self, self._outline(where, listing, seen))

    def read(self, where: Where) -> Raw:
        """Images [n, C, H, W]; only those that are used are decoded."""
        from aebuild.data.raw_samples import Raw
        from aebuild.data.streamed import sentence, streams

        with blamed(self, "path"):
            listing, seen = self._look(where)
            outline = self._outline(where, listing, seen)
            size = sum(map(len, listing.files.values())) * elements(describe(self, outline).value) * (1 if seen.numbers == "uint8" else 4)
            streamed = streams(self, size)
            if streamed:
                outline = outline.told(sentence(self, size))
            x, target = self._files(listing, seen), {}
            if (found := self._partners(where, listing)) is not None:
                target = self._files(*found)
            return Raw(outline, x, listing.labels(), target, streamed=streamed, beside=partial(listing.below, where.base / self.path))

    def suggestion(self, where: Where) -> Suggestion:
        """A size, where the images differ or are large."""
        from aebuild.data.image_suggestion import suggest_size

        with blamed(self, "path"):
            return suggest_size(list_images(where.base / self.path, self.path).pictures("train"))

    def _files(self, listing: Album, seen: Look) -> dict[str, Samples]:
        decoder = Decoder(seen, self.channels, self.wanted_size is not None)
        return {part: ImageFiles(files, decoder, listing.frames.get(part, ())) for part, files in listing.files.items()}

    def _partners(self, where: Where, listing: Album) -> tuple[Album, Look] | None:
        """What is to be made of the images, and what it looks like; None without `target`."""
        if self.target is None:
            return None
        if self.frames == "all":
            raise fault(UNPAIRED, "frames of files have no partners", "remove frames", part=self, at=("frames",))
        with blamed(self, "target"):
            found = partners(listing, where.base / self.path, where.base / self.target)
            return found, look(found.pictures("train"), self.channels, self.wanted_size)

    def _look(self, where: Where) -> tuple[Album, Look]:
        listing = list_images(where.base / self.path, self.path)
        if self.frames == "all":
            listing = listing.spread()
        return listing, look(listing.pictures("train"), self.channels, self.wanted_size)

    def _outline(self, where: Where, listing: Album, seen: Look) -> Outline:
        path, aimed = where.base / self.path, self._partners(where, listing)
        counts: dict[str, int | None] = {part: len(files) for part, files in listing.files.items()}
        names = listing.names
        sentence = (f"{shown(path)}: {by_part(counts)} images, read as {seen.value}, "
                    + (f"{plural(len(names), 'class')}, one a folder" if names else "no classes")
                    + (f", to be made into {aimed[1].value}" if aimed else "")
                    + (f"; passed over: {plural(listing.others, 'other file')}" if listing.others else ""))
        return Outline(seen.value, counts, sentence, LEVELS.get(seen.numbers), aimed[1].value if aimed else None,
                       LEVELS.get(aimed[1].numbers) if aimed else None, labelled=names is not None,
                       class_names=names, notes=(*listing.notes, *seen.remarks(self)))
