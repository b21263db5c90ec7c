"""Samples in tar archives, as WebDataset lays them out: members of one key are one sample."""

from __future__ import annotations

import io
import re
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.axes import Layout, interpret
from aebuild.data.class_folders import PART_NAMES
from aebuild.data.errors import fault, listed, must_fit, reading, shown
from aebuild.data.formats.images import ENDINGS as IMAGES
from aebuild.data.formats.npy import array_of
from aebuild.data.formats.tar import ENDING, TarMember, member_name, members, read_member
from aebuild.data.image_decoding import PROBED, Colours, Decoder, Picture, look
from aebuild.data.raw_samples import even_blocks
from aebuild.data.rules import BAD_LABELS, DAMAGED, MIXED, TOO_FEW
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import DataError
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARRAY = "npy"
LABEL = "cls"
LONGEST_LABEL = 256
KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)")       # the key ends at the first dot of the file's name


@dataclass(frozen=True)
class Found:
    """One sample: the member that is the input, and the word of its class."""

    member: TarMember
    label: str | None


def shards_of(path: Path) -> dict[str, list[Path]]:
    """The archives of each part: train-0000.tar, val-0000.tar and test-0000.tar tell, other names are all training."""
    with reading(path):
        files = [path] if not path.is_dir() else sorted(
            inner for inner in path.iterdir() if inner.suffix.lower() == ENDING and not inner.name.startswith("."))
    if not files:
        raise fault(TOO_FEW, f"{shown(path)} holds no {ENDING} file")
    told = {file: PART_NAMES.get(re.split("[^a-z]", file.stem.lower(), maxsplit=1)[0]) for file in files}
    parts: dict[str, list[Path]] = {}
    known = None not in told.values() and "train" in told.values()
    for file, part in told.items():
        parts.setdefault(part if known and part else "train", []).append(file)
    return parts


def groups(path: Path) -> Iterator[dict[str, TarMember]]:
    """The members of each key by their ending; keys follow each other."""
    key, held = None, dict[str, TarMember]()
    for member in members(path):
        split = KEY.fullmatch(member.name) if member is not None else None
        if member is None or split is None:
            continue
        if split[1] != key and held:
            yield held
            held = {}
        key, ending = split[1], split[2].lower()
        if ending in held:
            raise fault(DAMAGED, f"{shown(path)} has two members {shown(member.name)}, or its keys do not follow each other")
        held[ending] = member
    if held:
        yield held


def ending_of(path: Path, group: dict[str, TarMember]) -> str:
    """Which ending is the input: the only image or .npy of the first sample."""
    known = [ending for ending in group if f".{ending}" in IMAGES or ending == ARRAY]
    if len(known) != 1:
        raise fault(DAMAGED, f"{shown(path)}: the first sample has the endings {listed(group)}; one image or .{ARRAY} is wanted, "
                    f"and maybe a .{LABEL}", f"input: {known[0]}" if known else None)
    return known[0]


def samples_in(path: Path, ending: str, labelled: bool) -> Iterator[Found]:
    """The samples of an archive in their order."""
    for group in groups(path):
        if ending not in group:
            any_member = next(iter(group.values()))
            raise fault(DAMAGED, f"{shown(path)}: the sample of {shown(any_member.name)} has no .{ending}")
        yield Found(group[ending], _label(path, group.get(LABEL)) if labelled else None)


def _label(path: Path, member: TarMember | None) -> str:
    """The word of a class; "" where it is not known."""
    if member is None:
        return ""
    if member.size > LONGEST_LABEL:
        raise fault(BAD_LABELS, f"{shown(path)}, member {shown(member.name)} has {member.size:,} bytes; a label is a word or a number")
    word = read_member(path, member.data, member.size).decode("utf-8", "replace").strip()
    return "" if word == "-1" else word


@dataclass(frozen=True)
class ArrayForm:
    """What all arrays are: shape, type, and what their axes mean.

    `header` is that of the first array, which the others mostly have to the letter and then need not be read; None where its numbers
    do not stand as they do in memory.
    """

    shape: tuple[int, ...]
    dtype: str
    layout: Layout
    header: bytes | None
    size: int

    def read(self, data: bytes, name: Callable[[], str]) -> NDArray[Any]:
        """The array in an .npy, [1, ...]; its name is looked up where a message needs it."""
        import numpy as np

        if self.header is not None and len(data) == self.size and data.startswith(self.header):
            return np.frombuffer(data, self.dtype, offset=len(self.header)).reshape(1, *self.shape)
        try:
            array = array_of(data, "")
        except DataError:
            array = array_of(data, name())
        if array.shape != self.shape or array.dtype.name != self.dtype:
            raise fault(MIXED, f"{name()} is {list(array.shape)} {array.dtype}, but the first is {list(self.shape)} {self.dtype}")
        return array[None]


@dataclass
class TarSamples:
    """Samples in archives, read when they are taken; only where they stand and their labels are in memory.

    `places` are [n, 4]: number of the archive, then where header and data stand, and the size.
    """

    files: Sequence[Path]
    form: Decoder | ArrayForm
    places: NDArray[np.int64]
    starts: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def name(self, row: int) -> str:
        """Archive and member."""
        file, header, _, _ = self.places[row].tolist()
        return member_name(self.files[file], header)

    def blocks(self) -> NDArray[np.int64]:
        """Members that follow each other."""
        return even_blocks(self.starts)

    def sources(self) -> Sequence[Path]:
        """The archives."""
        return self.files

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Samples [n, *shape]."""
        import numpy as np

        if isinstance(self.form, Decoder):
            return self.form.all(index.tolist(), self._picture)
        form = self.form
        must_fit(len(index) * elements(form.layout.value) * np.dtype(form.dtype).itemsize, f"{len(index):,} samples of {form.layout.value}")
        arrays = np.empty((len(index), *form.shape), form.dtype)
        for place, row in enumerate(index.tolist()):
            arrays[place] = form.read(self._read(row), partial(self.name, row))
        return form.layout.arrange(arrays)

    def _picture(self, row: int) -> Picture:
        return Picture(partial(self.name, row), lambda: nullcontext(io.BytesIO(self._read(row))))

    def _read(self, row: int) -> bytes:
        file, _, start, size = self.places[row].tolist()
        return read_member(self.files[file], start, size)


def scan(files: Sequence[Path], ending: str, labelled: bool, form: Decoder | ArrayForm) -> tuple[TarSamples, list[str]]:
    """Where every sample stands, and the word of its class; reads all headers and labels."""
    import numpy as np

    places, starts, words = [np.empty((0, 4), np.int64)], [0], list[str]()
    same: dict[str, str] = {}                            # equal words are one object
    for number, file in enumerate(files):
        found = array("q")
        for sample in samples_in(file, ending, labelled):
            found.extend((number, sample.member.header, sample.member.data, sample.member.size))
            if sample.label is not None:
                words.append(same.setdefault(sample.label, sample.label))
        places.append(np.asarray(found, np.int64).reshape(-1, 4))
        starts.append(starts[-1] + len(places[-1]))
    return TarSamples(files, form, np.concatenate(places), starts), words


@dataclass(frozen=True)
class Start:
    """What the first samples tell: the ending of the input, whether labels are there, and the form of all."""

    ending: str
    labelled: bool
    form: Decoder | ArrayForm

    @property
    def value(self) -> Value:
        """The type of a sample."""
        return self.form.look.value if isinstance(self.form, Decoder) else self.form.layout.value

    @property
    def dtype(self) -> str:
        """The type of its numbers as numpy spells it."""
        return self.form.look.numbers if isinstance(self.form, Decoder) else self.form.dtype

    def notes(self, part: Dataset) -> tuple[str, ...]:
        """What is to be said of the first samples."""
        if isinstance(self.form, Decoder):
            return self.form.look.remarks(part)
        return self.form.layout.notes(f"each .{ARRAY} {list(self.form.shape)}", keys=False)


def start(files: Sequence[Path], ending: str | None, colours: Colours | None, size: tuple[int, int] | None) -> Start:
    """Looks at the first samples of the first archive."""
    first = files[0]
    head = next(groups(first), None)
    if head is None:
        raise fault(TOO_FEW, f"{shown(first)} holds no sample")
    ending = ending or ending_of(first, head)
    found = [sample.member for sample in islice(samples_in(first, ending, False), PROBED)]
    if ending == ARRAY:
        data = read_member(first, found[0].data, found[0].size)
        sample = array_of(data, member_name(first, found[0].header))
        layout = interpret((1, *sample.shape), sample.dtype.name, member_name(first, found[0].header))
        header = _plain(data[:len(data) - sample.nbytes])
        return Start(ending, LABEL in head, ArrayForm(sample.shape, sample.dtype.name, layout, header, len(data)))
    seen = look((_picture(first, member) for member in found), colours, size)
    return Start(ending, LABEL in head, Decoder(seen, colours, size is not None))


def _plain(header: bytes) -> bytes | None:
    """The header of numbers in the order and the byte order of this machine's arrays, else None."""
    foreign = b">" if sys.byteorder == "little" else b"<"
    return header if b"'fortran_order': False" in header and foreign not in header else None


def _picture(path: Path, member: TarMember) -> Picture:
    return Picture(lambda: member_name(path, member.header), lambda: nullcontext(io.BytesIO(read_member(path, member.data, member.size))))
