"""Data to codes and back."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from aebuild.data.errors import fault
from aebuild.data.new_samples import NewData
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, SpecError, UsageError
from aebuild.lang.values import Tokens
from aebuild.modules.lengths import real_places
from aebuild.results.inference.chunks import UNCHAINED
from aebuild.results.inference.passes import Progress, decoded, encoded, unseen
from aebuild.results.inference.row_files import row_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Chunks, Windows
    from aebuild.results.trained_run import TrainedRun

REFUSED = Rule("AE571", "something that this model cannot do", """\
What an autoencoder can do follows from its design: codes can be drawn where there is a prior, decoded where the code alone determines the
data (so not through skips from the encoder), drawn from a posterior where there is one.

```console
$ aebuild sample runs/unet        # its decoder reads the encoder's features through skips: refused
$ aebuild reconstruct runs/unet
```
""")
BAD_CODES = Rule("AE481", "codes that are not those of this model", """\
`decode` takes codes as `encode` writes them: an array `codes` [n, ...] of the shape of the model's code, or indices below the number of
entries for a discrete one. Bits (`encode --bits`) can be read only whole, and with the very weights that they were written with: every
chance that they were coded by comes from them. So they carry checksums.

```console
$ aebuild decode runs/vae codes-of-another-model.npz      # refused
```
```console
$ aebuild encode runs/vae photos/ -o codes.npz
```
""")


@dataclass(frozen=True)
class Spans:
    """What the codes of a stream stand for, [n] each: the number of the sample or series, and the `first` and the `last` of its places.

    Places of a table's series are rows of the table.
    """

    samples: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Codes:
    """The codes of samples: `values` [n, ...] as the decoder gets them, and of a discrete latent their `indices` [n, width].

    A stream has a row for each place of the code, `values` [n, dim], and `spans` says what each stands for. Stands for its array in numpy:
    the values, or the indices where there are any.
    """

    values: NDArray[np.float32]
    indices: NDArray[np.int64] | None = None
    spans: Spans | None = None

    @property
    def array(self) -> NDArray[Any]:
        """What `decode` takes back: indices, or values."""
        return self.values if self.indices is None else self.indices

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.array, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.array)


def require(run: TrainedRun, operation: str) -> None:
    """Refuses an operation that this design does not have."""
    why = run.model.refusals.get(operation)
    if why is not None:
        raise SpecError(Diagnostic(REFUSED, f"this model cannot {operation}: {why}"))


def encode_batches(run: TrainedRun, data: NewData, draw: int | None = None, progress: Progress = unseen) -> Iterator[Codes]:
    """Codes batch by batch; with `draw` so many draws from the posterior of each sample, one after the other.

    Of a stream one for each place of the code. Its draws are refused: other chunks would have others.
    """
    chunks = data.split.chunks
    if draw is not None and chunks is not None:
        raise UsageError(Diagnostic(UNCHAINED, "draws of a stream would depend on its chunks", fix=Hint("take the means, without draws")))
    if draw is not None and not hasattr(run.model.latent, "posterior"):
        raise SpecError(Diagnostic(REFUSED, f"a {run.plan.spec.latent.variant_name()} code is not random, so there is nothing to draw"))
    for each in encoded(run, data.split, draws=draw, progress=progress):
        indices = None if each.code.indices is None else each.code.indices.cpu().numpy()
        codes = Codes(each.value.cpu().numpy(), indices)
        yield codes if chunks is None else _by_place(run, codes, chunks.lengths[each.start:each.stop])


def _by_place(run: TrainedRun, codes: Codes, lengths: NDArray[np.int64]) -> Codes:
    """The codes of chunks of which so many places are real, as one for each place of the code that stands for one of these."""
    values = np.moveaxis(codes.values, run.plan.latent.code.feature_axis, -1)
    real = _stand_for_real(run, lengths)
    return Codes(values[real], None if codes.indices is None else codes.indices.reshape(*real.shape, -1)[real])


def _stand_for_real(run: TrainedRun, lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which codes of chunks stand for real places, [n, places of a code]."""
    return np.asarray(np.arange(run.plan.latent.code.places[0]) * _period(run) < lengths[:, None])


def _period(run: TrainedRun) -> int:
    """How many places of a sample a code stands for."""
    return run.plan.input.places[0] // run.plan.latent.code.places[0]


def spans_of(run: TrainedRun, chunks: Chunks) -> Spans:
    """What the codes of a stream stand for."""
    chunk, place = np.nonzero(_stand_for_real(run, chunks.lengths))
    first, period = chunks.starts[chunk] + place * _period(run), _period(run)
    last = np.minimum(first + period, (chunks.starts + chunks.lengths)[chunk]) - 1
    return Spans((np.cumsum(chunks.begins) - 1)[chunk], first, last)


def encode(run: TrainedRun, data: NewData, draw: int | None = None) -> Codes:
    """The codes of all samples."""
    parts, chunks = list(encode_batches(run, data, draw)), data.split.chunks
    return Codes(np.concatenate([part.values for part in parts]),
                 None if parts[0].indices is None else np.concatenate([np.asarray(part.indices) for part in parts]),
                 None if chunks is None else spans_of(run, chunks))


def reconstruct_batches(run: TrainedRun, data: NewData, progress: Progress = unseen) -> Iterator[NDArray[Any]]:
    """What the model makes of samples, in its own units, batch by batch; padding beyond a sample's length is zero."""
    for each in encoded(run, data.split, progress=progress):
        if data.wanted is not None:
            each.context["conditions"] = torch.from_numpy(data.wanted[each.start:each.stop]).to(each.value.device)
        with torch.no_grad():
            params = run.model.parameters_of(each.value, each.context)
            back = run.model.likelihood.mean(params)
        if each.batch.lengths is not None:
            back = back.masked_fill(~real_places(each.batch.lengths, back), 0)
        yield back.cpu().numpy()


def decode_batches(run: TrainedRun, codes: NDArray[Any], conditions: NDArray[np.float32] | None = None, seed: int | None = None
                   ) -> Iterator[NDArray[Any]]:
    """The data that codes stand for, in the model's units, batch by batch; DataError for codes that are none of this model.

    `conditions` [n, F] are what the decoder is told; by `seed` it draws where it draws, without one always the same.
    """
    require(run, "decode")
    for batch in decoded(run, checked_codes(run, codes), conditions, seed):
        yield batch.cpu().numpy()


def checked_codes(run: TrainedRun, codes: NDArray[Any]) -> Tensor:
    """Codes as the model takes them; refuses another shape or type, none at all, and indices that no entry has."""
    kind = run.plan.latent.codes
    if codes.dtype.kind not in "fiu":
        raise fault(BAD_CODES, f"the codes have type {codes.dtype}; they are numbers")
    if not codes.size:
        raise fault(BAD_CODES, "there are no codes")
    if isinstance(kind, Tokens) and codes.dtype.kind in "iu":
        if codes.shape[1:] != (kind.length,):
            raise fault(BAD_CODES, f"the indices have shape {list(codes.shape)}; this model's are [n, {kind.length}]")
        if codes.size and not 0 <= codes.min() <= codes.max() < kind.classes:
            raise fault(BAD_CODES, f"the indices go from {codes.min()} to {codes.max()}; this model has {kind.classes} entries, from 0 on")
        return torch.from_numpy(codes.astype(np.int64))
    shape = run.plan.latent.code.shape
    if codes.ndim == 2 and codes.shape[1] == math.prod(shape):
        codes = codes.reshape(len(codes), *shape)
    if codes.ndim < 2 or codes.shape[1:] != shape:
        wanted = f"[n, {', '.join(map(str, shape))}]" + (f", or indices [n, {kind.length}]" if isinstance(kind, Tokens) else "")
        raise fault(BAD_CODES, f"the codes have shape {list(codes.shape)}; this model's are {wanted}")
    with np.errstate(over="ignore"):
        made = codes.astype(np.float32)
    strange = ~np.isfinite(made).reshape(len(made), -1).all(1)
    if strange.any():
        raise fault(BAD_CODES, f"the code of sample {int(strange.argmax())} holds a number that is not finite, or too large for 32 bits")
    return torch.from_numpy(made)


def read_codes(path: Path) -> NDArray[Any]:
    """Codes from a file that `encode` wrote: .npz, .npy, .csv or .parquet."""
    from aebuild.data.formats.npy import headers, read_array

    if path.suffix.lower() in (".npz", ".npy"):
        members = headers(path)
        name = next((name for name in ("indices", "codes") if name in members), next(iter(members), None))
        if name is None:
            raise fault(BAD_CODES, f"{path} holds no array")
        return read_array(path, members[name])
    return _table_of_codes(path)


def _table_of_codes(path: Path) -> NDArray[Any]:
    from aebuild.data.tables import open_sheet
    from aebuild.lang.dataset import Dataset, Tabular

    sheet = open_sheet(path, cast("Tabular", Dataset.named("table", path=str(path))))
    for kind in ("index", "code"):
        places = [place for place, name in enumerate(sheet.names) if re.fullmatch(rf"{kind}(_\d+)+", name)]
        if places:
            values = sheet.read(places, gaps=True)[0]
            strange = ~np.isfinite(values) | ((values != np.round(values)) if kind == "index" else False)
            if strange.any():
                wanted = "a whole number" if kind == "index" else "a finite number"
                raise fault(BAD_CODES, f"{path}: the code of sample {int(strange.any(1).argmax())} holds what is not {wanted}")
            return values.astype(np.int64) if kind == "index" else values
    raise fault(BAD_CODES, f"{path} has no columns code_0, code_1, … or index_0, …, as `encode` writes them")


def write_codes(run: TrainedRun, data: NewData, place: Path, draw: int | None = None, progress: Progress = unseen) -> int:
    """Writes the codes of samples beside what their input says of them: ids, times, labels, of a stream which places; how many."""
    spans = None if data.split.chunks is None else spans_of(run, data.split.chunks)
    beside = beside_samples(data) if spans is None else _beside_spans(data, spans)
    if draw is not None:
        beside = {name: [cell for cell in cells for _ in range(draw)] for name, cells in beside.items()}
        beside["draw"] = [str(number) for _ in range(len(data)) for number in range(draw)]
    ending, done = place.suffix.lower(), 0
    arrays, what = ending in (".npz", ".npy"), "row" if data.split.windows is not None else "place"
    count = (len(data) if spans is None else len(spans)) * (draw or 1)
    with row_file(place, count, beside) as file:
        for part in encode_batches(run, data, draw, progress):
            some = slice(done, done := done + len(part))
            told = {} if spans is None or ending == ".npy" else {f"first_{what}": spans.first[some], f"last_{what}": spans.last[some]}
            if part.indices is None:
                file.add(**told, **{"codes" if arrays else "code": part.values})
            elif ending == ".npz":
                file.add(**told, indices=part.indices, codes=part.values, bits=packed(part.indices, run))
            else:
                file.add(**told, **{"indices" if arrays else "index": part.indices})
    return count


def packed(indices: NDArray[np.int64], run: TrainedRun) -> NDArray[np.uint8]:
    """Indices [n, width] as bits, most significant first, in bytes [n, ceil(width · bits / 8)]."""
    kind = run.plan.latent.codes
    assert isinstance(kind, Tokens), "only indices have bits"
    bits = max(1, (kind.classes - 1).bit_length())
    each = (indices[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.reshape(len(indices), -1).astype(np.uint8), axis=1)


def beside_samples(data: NewData) -> dict[str, list[str]]:
    """The cells beside each sample; of a window those of its first row, and which row that is."""
    windows = data.split.windows
    beside = {name: list(cells) for name, cells in data.beside.items()}
    if windows is not None:
        rows = windows.starts.tolist()
        first = {} if "row" in beside else {"first_row": list(map(str, rows))}
        beside = {**first, **{name: [cells[row] for row in rows] for name, cells in beside.items()}}
    return beside if data.words is None else {**beside, "label": list(data.words)}


def _beside_spans(data: NewData, spans: Spans) -> dict[str, list[str]]:
    """The cells beside each code of a stream: of a series those of its first row, of other samples those of the sample."""
    chunks = data.split.chunks
    if data.split.windows is not None or chunks is None:
        held, rows = dict(data.beside), spans.first
    else:
        held, rows = {**beside_samples(data)}, np.flatnonzero(chunks.begins)[spans.samples]
        del held["start"]                                     # of the chunk
    return {name: [cells[row] for row in rows.tolist()] for name, cells in held.items()}


def merged_windows(windows: Windows, batches: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
    """Values of the steps of windows or whole series, [n, length, ...] a batch, as those of rows: averaged over the windows that hold one.

    [rows, ...], NaN where none does.
    """
    total: NDArray[np.float64] | None = None
    count, done = np.zeros(windows.rows, np.int64), 0
    for batch in batches:
        places, there = windows.places(done, done + len(batch))
        if total is None:
            total = np.zeros((windows.rows, *batch.shape[2:]))
        np.add.at(total, places[there], batch[there])
        np.add.at(count, places[there], 1)
        done += len(batch)
    assert total is not None, "there are no windows"
    with np.errstate(invalid="ignore", divide="ignore"):
        merged: NDArray[np.float64] = total / count.reshape(-1, *(1,) * (total.ndim - 1))
    return merged
