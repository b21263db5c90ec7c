"""Codes as bits: written by a compressed latent's own distribution, and read again exactly."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aebuild.data.errors import fault, reading, shown
from aebuild.data.rules import EXTRA
from aebuild.lang.diagnostics import Diagnostic, Hint, SpecError
from aebuild.metrics.entropy_coding import RangeReader, RangeWriter, library
from aebuild.modules.entropy_models import EntropyModel, settled
from aebuild.results.inference.codes import BAD_CODES, REFUSED, encode_batches, read_codes
from aebuild.results.inference.passes import Progress, unseen
from aebuild.results.inference.row_files import appearing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.data.new_samples import NewData
    from aebuild.results.trained_run import TrainedRun

ENDING = ".bits"
MAGIC = b"aebuild bits 1\n"
CHUNK = 1024               # samples that are coded together
MOST = 1 << 26             # bytes of a header


def write_bits(run: TrainedRun, data: NewData, place: Path, progress: Progress = unseen) -> dict[str, float]:
    """Writes the codes of all samples; returns the bits of the file, and of a sample and a value of the data."""
    model = _coder_of(run)
    codes = torch.from_numpy(np.concatenate([part.values for part in encode_batches(run, data, progress=progress)])).double()
    chunks = list(torch.split(codes, CHUNK))
    reaches = [model.reach(chunk) for chunk in chunks]
    low = torch.stack([reach[0] for reach in reaches]).amin(0)
    high = torch.stack([reach[1] for reach in reaches]).amax(0)
    written = []
    for chunk in chunks:
        sink = RangeWriter()
        model.write(chunk, sink, (low, high))
        written.append(sink.words)
    head = {"samples": len(codes), "chunk": CHUNK, "shape": list(codes.shape[1:]), "weights": _digest(model), "low": low.tolist(),
            "high": high.tolist(), "words": [len(words) for words in written], "checks": [_check(chunk) for chunk in chunks]}
    payload = b"".join(words.astype("<u4").tobytes() for words in written)
    with appearing(place) as partial:
        partial.write_bytes(MAGIC + json.dumps(head).encode() + b"\n" + payload)
    bits = 8.0 * len(payload)
    return {"bits": bits, "bits_per_sample": bits / len(codes), "bits_per_value": bits / len(codes) / _values(run)}


def codes_in_file(run: TrainedRun, place: Path) -> NDArray[Any]:
    """The codes of a file that `encode` wrote: bits, or rows."""
    return read_bits(run, place) if place.suffix.lower() == ENDING else read_codes(place)


def read_bits(run: TrainedRun, place: Path) -> NDArray[np.float32]:
    """The codes of a bitstream, [n, ...]; DataError for one that is damaged or another model's."""
    model = _coder_of(run)
    with reading(place):
        head, payload = _parted(place, place.read_bytes())
    if head["weights"] != _digest(model):
        raise fault(BAD_CODES, f"{shown(place)} was written by a model with other weights")
    ends = torch.tensor(head["low"]), torch.tensor(head["high"])
    found = []
    for number, (count, words) in enumerate(_chunks(place, head, payload)):
        code = model.read(count, RangeReader(words), ends)
        if _check(code) != head["checks"][number]:
            raise fault(BAD_CODES, f"{shown(place)}: samples {number * CHUNK:,} and following do not come back as they were written; "
                        "the file is damaged, or this machine computes otherwise")
        found.append(code.float().numpy())
    return np.concatenate(found)


def _coder_of(run: TrainedRun) -> EntropyModel:
    prior = run.model.latent.prior
    if not isinstance(prior, EntropyModel):
        kind = run.plan.spec.latent.variant_name()
        raise SpecError(Diagnostic(REFUSED, f"a {kind} code has no distribution to write it by; a `compressed` one has"))
    try:
        library()
    except ImportError as error:
        raise fault(EXTRA, "bitstreams need the package constriction, which is not installed", Hint('pip install "aebuild[compression]"')
                    ) from error
    model: EntropyModel = settled(prior)
    return model


def _parted(place: Path, data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        if not data.startswith(MAGIC):
            raise ValueError("it does not begin like one")
        line, _, payload = data[len(MAGIC):].partition(b"\n")
        if len(line) > MOST:
            raise ValueError("its header is too long")
        head = json.loads(line)
        wanted = {"samples": int, "chunk": int, "shape": list, "weights": str, "low": list, "high": list, "words": list, "checks": list}
        if not all(isinstance(head.get(name), kind) for name, kind in wanted.items()) or head["chunk"] != CHUNK:
            raise ValueError("its header lacks something")
        if 4 * sum(head["words"]) != len(payload) or not len(head["words"]) == len(head["checks"]) == -(-head["samples"] // CHUNK):
            raise ValueError("it does not have the length that its header says")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise fault(BAD_CODES, f"{shown(place)} is no whole bitstream: {error}") from error
    return head, payload


def _chunks(place: Path, head: dict[str, Any], payload: bytes) -> Iterator[tuple[int, NDArray[np.uint32]]]:
    words, left = np.frombuffer(payload, "<u4"), head["samples"]
    for length in head["words"]:
        yield min(left, CHUNK), words[:length]
        words, left = words[length:], left - CHUNK


def _check(code: Tensor) -> int:
    return zlib.crc32(code.to(torch.int32).contiguous().numpy().astype("<i4").tobytes())


def _digest(model: EntropyModel) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode() + tensor.float().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def _values(run: TrainedRun) -> int:
    return int(np.prod(run.plan.target.shape))
