"""Samples in tar archives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from aebuild.data.errors import blamed, fault, shown
from aebuild.data.probe import LEVELS, Outline, by_part, declared, describe, plural
from aebuild.data.rules import UNFIT
from aebuild.lang.dataset import DataInfo, Divided, OnDisk, OwnLabels, Pictured, Sampled, Streamable, Where
from aebuild.lang.part import knob
from aebuild.lang.values import elements

if TYPE_CHECKING:
    from pathlib import Path

    from aebuild.data.formats.webdataset import Start
    from aebuild.data.raw_samples import Raw

Shards = dict[str, list["Path"]]


class Webdataset(Sampled, Divided, OwnLabels, Pictured, Streamable, OnDisk):
    """Samples in .tar archives as WebDataset lays them out: 0017.png and 0017.cls are an image and its class.

    A path names one archive or a folder of them; train-0000.tar, val-0000.tar and test-0000.tar are parts. Archives are
    never unpacked.
    """

    type: Literal["webdataset"] = "webdataset"
    example = ("data: {type: webdataset, path: tars, limit: 20, size: 9, pad: 1, labels: 12, classes: 3, split: {validation: 6, "
               "test: 0.2, seed: 1}}\n"
               "---\n"
               "data: {type: webdataset, path: tars, stream: true, shape: [1, 6, 5], exclude: {label: 1}}")
    also = ("tar", "wds", "shards", "web_dataset")
    stored_as_images = True
    input: str | None = knob(None, "ending of the members that are the samples: an image's, or npy (default: the only one that could be)",
                             affects="data", min_length=1)
    channels: Literal["gray", "rgb", "rgba"] | None = knob(
        None, "what images are turned into; rgba keeps transparency, otherwise it is laid on white (default: gray if the first images "
        "are, else rgb)", affects="data")

    def probe(self, where: Where) -> DataInfo:
        """The first headers of the first archive."""
        if self.shape is not None:
            return declared(self, bounds=(0.0, 255.0) if self.input != "npy" else None, labelled=self.classes is not None)
        with blamed(self, "path"):
            shards, start = self._look(where)
            return describe(self, self._outline(where, shards, start, dict.fromkeys(shards)))

    def read(self, where: Where) -> Raw:
        """Samples [n, ...] and their classes; every header is read."""
        from aebuild.data.streamed import sentence, streams

        with blamed(self, "path"):
            shards, start = self._look(where)
            raw = self._scan(where, shards, start)
            each = 1 if start.dtype in ("uint8", "bool") else 8
            size = sum(map(len, raw.x.values())) * elements(describe(self, raw.outline).value) * each
            if streams(self, size):
                raw = replace(raw, outline=raw.outline.told(sentence(self, size)), streamed=True)
            return raw

    def count_classes(self, where: Where) -> int | None:
        """Reads the labels."""
        if self.classes is not None or self.shape is not None:
            return self.classes
        with blamed(self, "path"):
            shards, start = self._look(where)
            return len(self._scan(where, shards, start).outline.class_names or ()) or None if start.labelled else None

    def _look(self, where: Where) -> tuple[Shards, Start]:
        from aebuild.data.formats.webdataset import shards_of, start

        shards = shards_of(where.base / self.path)
        found = start(shards["train"], self.input, self.channels, self.wanted_size)
        if self.channels is not None and found.ending == "npy":
            raise fault(UNFIT, "`channels` is for images, and these members are arrays", "remove channels", part=self, at=("channels",))
        return shards, found

    def _scan(self, where: Where, shards: Shards, start: Start) -> Raw:
        from aebuild.data.formats.webdataset import scan
        from aebuild.data.labels import classify
        from aebuild.data.raw_samples import Raw

        found = {part: scan(files, start.ending, start.labelled, start.form) for part, files in shards.items()}
        x = {part: samples for part, (samples, _) in found.items()}
        outline = self._outline(where, shards, start, {part: len(samples) for part, samples in x.items()})
        if not start.labelled:
            return Raw(outline, x)
        labels, names = classify({part: words for part, (_, words) in found.items()}, shown(where.base / self.path))
        return Raw(replace(outline, class_names=names), x, labels)

    def _outline(self, where: Where, shards: Shards, start: Start, counts: dict[str, int | None]) -> Outline:
        many = sum(map(len, shards.values()))
        sentence = (f"{shown(where.base / self.path)}: {plural(many, 'tar archive')}"
                    + (f" with {by_part(counts)} samples" if None not in counts.values() else "")
                    + f", .{shown(start.ending)} read as {start.value} of {start.dtype}, "
                    + ("classes in .cls" if start.labelled else "no classes"))
        return Outline(start.value, counts, sentence, LEVELS.get(start.dtype), labelled=start.labelled,
                       notes=start.notes(self))
