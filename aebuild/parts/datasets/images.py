"""A folder of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from aebuild.data.condition_arrays import array_condition, asked_arrays, with_conditions
from aebuild.data.conditions import Offered
from aebuild.data.errors import blamed, fault, shown
from aebuild.data.image_decoding import Colours, Decoder, Look, look
from aebuild.data.image_folder import Album, HoledImages, ImageFiles, list_images
from aebuild.data.missing import check_holes
from aebuild.data.paired_images import UNPAIRED, partners
from aebuild.data.probe import LEVELS, Outline, by_part, declared, describe, plural
from aebuild.lang.dataset import DataInfo, Divided, Gapped, OnDisk, OwnLabels, Pictured, Sampled, Streamable, Suggestion, Where
from aebuild.lang.diagnostics import Rule
from aebuild.lang.part import knob
from aebuild.lang.values import elements

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw


MASKS = Rule("AE867", "holes of images, and what becomes of them", """\
`mask` names a folder of masks, one of the name of each image: where a mask is white, the image is not known. `missing` says what becomes
of these places: with `mask` they are filled with the mean and the loss leaves them out, so that a model learns from damaged images and
paints over what is missing (Pathak et al., 2016); with `mean` the fillings are data like all others. The one needs the other. What is to be
made of an image (`target`) has its own pixels, and frames of files have no masks.

```yaml
data: {type: images, path: photos/, missing: mask}
encoder: {layer: conv, width: 8}
```
```yaml
data: {type: images, path: photos/, mask: scratches/, missing: mask}
encoder: {layer: conv, width: 8}
```
""")


class Images(Sampled, Divided, OwnLabels, Pictured, Streamable, OnDisk, Gapped):
    """A folder of images, or of one folder a class; either may stand under train and test."""

    type: Literal["images"] = "images"
    example = ("data: {type: images, path: pictures, limit: 12, size: 5, pad: 1, labels: 6, classes: 2}\n"
               "---\n"
               "data: {type: images, path: pictures, shape: [3, 6, 7]}\n"
               "---\n"
               "data: {type: images, path: pictures, beside: {edges: pictures}}\n"
               "condition: {edges: concat}\n"
               "---\n"
               "data: {type: images, path: pictures, mask: pictures, missing: mask}\n"
               "losses: {reconstruction: mse}")
    also = ("image_folder", "folder")
    own_alone = ("target", "mask", "beside")
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
    beside: dict[str, Annotated[str, Field(min_length=1)]] | None = knob(
        None, "folders of images that a `condition` of the same name tells, relative to the spec: each image has a partner of the same "
        "name in each", affects="data")
    mask: str | None = knob(
        None, "folder of masks, relative to the spec: each image has one of the same name there, white where the image is not known",
        affects="data", min_length=1)
    missing: Literal["error", "mean", "mask"] = knob(
        "error", "what becomes of the holes that `mask` tells: mean: the mean of the channel; mask: the mean, and the loss leaves it out, "
        "so that the model learns to fill holes", affects="data")

    def located(self, base: Path) -> Self:
        """With absolute paths of all folders."""
        others: dict[str, Any] = {name: str((base / path).absolute()) for name in ("target", "mask")
                                  if (path := getattr(self, name)) is not None}
        if self.beside is not None:
            others["beside"] = {name: str((base / path).absolute()) for name, path in self.beside.items()}
        return super().located(base).but(**others)

    def probe(self, where: Where) -> DataInfo:
        """Names of all files and headers of the first images; with `frames: all` headers of all."""
        self._check_masks()
        if self.shape is not None and self.target is None and self.beside is None:
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
            x: dict[str, Any] = dict(self._files(listing, seen, self.channels))
            target: dict[str, Any] = {}
            if (found := self._partners(where, listing)) is not None:
                target = self._files(*found, self.channels)
            if self.mask is not None:
                check_holes(self, None, streamed)
                x = self._holed(where, listing, x)
            raw = Raw(outline, x, listing.labels(), target, streamed=streamed, beside=partial(listing.below, where.base / self.path))
            return with_conditions(self, raw, {name: self._files(*found, None) for name, found in self._told(where, listing).items()})

    def suggestion(self, where: Where) -> Suggestion:
        """A size, where the images differ or are large."""
        from aebuild.data.image_suggestion import suggest_size

        with blamed(self, "path"):
            return suggest_size(list_images(where.base / self.path, self.path).pictures("train"))

    def _check_masks(self) -> None:
        """Refuses one of `mask` and `missing` without the other, and what masks are not for."""
        if self.mask is None and self.missing != "error":
            raise fault(MASKS, f"`missing: {self.missing}` is for holes, and no `mask` says where they are", "remove missing", part=self,
                        at=("missing",))
        if self.mask is not None and self.missing == "error":
            raise fault(MASKS, "`mask` says where images have holes, but nothing says what becomes of them", "missing: mask", part=self,
                        at=("mask",))
        other = "target" if self.target is not None else "frames" if self.frames == "all" else None
        if self.mask is not None and other is not None:
            raise fault(MASKS, f"`mask` and `{other}` do not go together", f"remove {other}", part=self, at=(other,))

    def _holed(self, where: Where, listing: Album, x: dict[str, ImageFiles]) -> dict[str, HoledImages]:
        """The images with their masks, which are brought to the same size."""
        assert self.mask is not None
        with blamed(self, "mask"):
            found = partners(listing, where.base / self.path, where.base / self.mask)
            seen = look(found.pictures("train"), "gray", self.wanted_size)
            places = next(iter(x.values())).decoder.look.size
            if seen.size != places:
                raise fault(MASKS, f"the masks are {seen.size[0]} by {seen.size[1]} pixels, the images {places[0]} by {places[1]}",
                            f"size: {list(places)}")
            decoder = Decoder(seen, "gray", self.wanted_size is not None)
            return {part: HoledImages(x[part], ImageFiles(files, decoder)) for part, files in found.files.items()}

    def _files(self, listing: Album, seen: Look, chosen: Colours | None) -> dict[str, ImageFiles]:
        decoder = Decoder(seen, chosen, self.wanted_size is not None)
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

    def _offered(self, where: Where, listing: Album) -> Offered:
        infos = [array_condition(self, name, seen.value, seen.numbers) for name, (_, seen) in self._told(where, listing).items()]
        return Offered(tuple(infos), tuple(self.beside or ()))

    def _told(self, where: Where, listing: Album) -> dict[str, tuple[Album, Look]]:
        """The images of each folder of `beside` that a condition names."""
        found, folders = {}, self.beside or {}
        for name in asked_arrays(self):
            if name in folders:
                if self.frames == "all":
                    raise fault(UNPAIRED, "frames of files have no partners", "remove frames", part=self, at=("frames",))
                with blamed(self, "beside"):
                    album = partners(listing, where.base / self.path, where.base / folders[name])
                    found[name] = album, look(album.pictures("train"), None, self.wanted_size)
        return found

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
                       class_names=names, offered=self._offered(where, listing), notes=(*listing.notes, *seen.remarks(self)))
