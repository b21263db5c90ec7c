"""IDX files, the format of MNIST."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aebuild.data.axes import Layout, interpret
from aebuild.data.errors import blamed, fault, listed, shown
from aebuild.data.formats.idx import Header, find_idx, idx_header
from aebuild.data.probe import LEVELS, Outline, by_part, declared, describe
from aebuild.data.rules import BAD_LABELS, DISAGREE
from aebuild.lang.dataset import DataInfo, Divided, OnDisk, OwnLabels, Pictured, Sampled, Where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.raw_samples import Raw

Files = dict[str, dict[str, Path]]


class Idx(Sampled, Divided, OwnLabels, Pictured, OnDisk):
    """Samples in IDX files, plain or gzip-compressed: one file with its labels beside it, or a folder of train and test pairs."""

    type: Literal["idx"] = "idx"
    example = ("data: {type: idx, path: train-images-idx3-ubyte.gz, limit: 20, size: [5, 4], pad: 1, labels: 12, classes: 3}\n"
               "---\n"
               "data: {type: idx, path: train-images-idx3-ubyte.gz, shape: [1, 6, 5]}")

    def probe(self, where: Where) -> DataInfo:
        """Type and counts from the files' headers."""
        if self.shape is not None:
            return declared(self, labelled=self.classes is not None)
        with blamed(self, "path"):
            return describe(self, self._outline(find_idx(where.base / self.path))[0])

    def read(self, where: Where) -> Raw:
        """The samples and labels, divided and scaled."""
        from aebuild.data.formats.idx import read_idx
        from aebuild.data.raw_samples import Raw, Samples, Stored

        with blamed(self, "path"):
            files = find_idx(where.base / self.path)
            outline, layout = self._outline(files)
            x: dict[str, Samples] = {part: Stored(read_idx(held["samples"])[1], layout, shown(held["samples"])) for part,
                                     held in files.items()}
            labels, names = _labels(files)
            return Raw(replace(outline, class_names=names), x, labels)

    def count_classes(self, where: Where) -> int | None:
        """Reads the labels, and nothing else."""
        if self.classes is not None or self.shape is not None:
            return self.classes
        with blamed(self, "path"):
            names = _labels(find_idx(where.base / self.path))[1]
        return len(names) if names else None

    def _outline(self, files: Files) -> tuple[Outline, Layout]:
        heads = {part: idx_header(held["samples"]) for part, held in files.items()}
        first = heads["train"]
        layout = _layout(first)
        for part, head in heads.items():
            if head.shape[1:] != first.shape[1:] or head.dtype != first.dtype:
                raise fault(DISAGREE, f"{shown(head.path)} holds {list(head.shape)} {head.dtype}, but {shown(first.path)} holds "
                            f"{list(first.shape)} {first.dtype}")
            if "labels" in files[part]:
                _check_labels(head, idx_header(files[part]["labels"]))
        counts: dict[str, int | None] = {part: head.shape[0] for part, head in heads.items()}
        labelled = any("labels" in held for held in files.values())
        sentence = (f"IDX files {listed(head.path.name for head in heads.values())}: {by_part(counts)} samples, each {layout.value} of "
                    f"{first.dtype}, {'with' if labelled else 'without'} labels")
        return Outline(layout.value, counts, sentence, LEVELS.get(first.dtype), labelled=labelled,
                       notes=layout.notes(f"{shown(first.path.name)} {list(first.shape)}", keys=False)), layout


def _layout(head: Header) -> Layout:
    """Images where a sample has two axes or more, else vectors."""
    return interpret(head.shape, head.dtype, shown(head.path), "grid" if len(head.shape) > 2 else None)


def _check_labels(samples: Header, labels: Header) -> None:
    if len(labels.shape) != 1 or labels.dtype.startswith("float"):
        raise fault(BAD_LABELS, f"{shown(labels.path)} holds {list(labels.shape)} {labels.dtype}; labels are one axis of whole numbers")
    if labels.shape[0] != samples.shape[0]:
        raise fault(DISAGREE,
                    f"{shown(labels.path)} has {labels.shape[0]:,} labels for the {samples.shape[0]:,} samples of {shown(samples.path)}")


def _labels(files: Files) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...] | None]:
    from aebuild.data.formats.idx import read_idx
    from aebuild.data.labels import as_words, classify

    paths = {part: held["labels"] for part, held in files.items() if "labels" in held}
    if not paths:
        return {}, None
    return classify({part: as_words(read_idx(path)[1], shown(path)) for part, path in paths.items()}, "IDX labels")
