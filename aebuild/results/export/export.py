"""A run as a folder: weights, spec, scaling and manifest, and programs that were checked against the model."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aebuild.compile.canonical import text
from aebuild.lang.diagnostics import CheckpointError, DataError, Diagnostic, Hint, Rule, SpecError
from aebuild.lang.values import Tokens
from aebuild.results.export.formats import NOT_RECORDED, milliseconds, onnx_program, quantised, torch_program
from aebuild.results.export.halves import PARTS, expected
from aebuild.results.inference.new_data import own_split
from aebuild.results.inference.row_files import appearing
from aebuild.trainer.batches.loader import SplitLoader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.data.new_samples import NewData
    from aebuild.lang.splits import Split
    from aebuild.results.trained_run import TrainedRun

NOT_APART = Rule("AE533", "halves that cannot be exported apart", """\
A decoder that reads the encoder's features through skips cannot work from a code alone, so its model has no half to export.

```console
$ aebuild export runs/unet --half encoder -o out      # refused
$ aebuild export runs/unet -o out
```
""")
DIFFERS = Rule("AE534", "an exported program that differs from the model", """\
Each program is run on samples before it is called done, and what it gives is compared with the model itself. This one gave something
else, so it was taken away again.

```console
$ aebuild export runs/vae --format onnx -o out        # refused: the program differs
$ aebuild export runs/vae -o out
```
""")
NO_SAMPLES = Rule("AE535", "no samples to check an export with", """\
Programs are checked on the run's own test samples. Where these data are gone, name others of the same kind, or ask for drawn ones.

```console
$ aebuild export runs/vae --format onnx -o out                        # refused: its data are gone
$ aebuild export runs/vae --format onnx --data other.npy -o out
$ aebuild export runs/vae --format onnx --drawn -o out
```
""")
SAMPLES = 64
TOLERANCE = 1e-3       # of the largest value
ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}


@dataclass
class Written:
    """A program: where it is, how far it is from the model at most, and what a sample takes in milliseconds."""

    file: str
    bytes: int
    largest_difference: float
    eager_ms: float
    exported_ms: float


@dataclass
class Exported:
    """What was written."""

    folder: Path
    files: list[str] = field(default_factory=list)
    programs: list[Written] = field(default_factory=list)
    loss: dict[str, float] = field(default_factory=dict)        # of the int8 encoder: before and after
    notes: list[str] = field(default_factory=list)


def export_run(run: TrainedRun, folder: str | Path, *, half: str | None = None, formats: Sequence[str] = (), int8: bool = False,
               data: NewData | None = None, drawn: bool = False) -> Exported:
    """Writes the folder; SpecError where the design cannot be exported so, DataError where nothing is there to check programs with."""
    apart = "decode" not in run.model.refusals
    if half is not None and not apart:
        raise SpecError(Diagnostic(NOT_APART, f"the halves cannot be exported apart: {run.model.refusals['decode']}"))
    if int8 and not apart:
        raise SpecError(Diagnostic(NOT_APART, f"there is no encoder apart to quantise: {run.model.refusals['decode']}"))
    if run.info.ragged and (formats or int8):
        raise SpecError(Diagnostic(NOT_RECORDED, "samples of unequal length have no program yet: it would take padding for data"))
    raw = _samples(run, data, drawn) if formats or int8 else None
    with appearing(Path(folder)) as partial:
        partial.mkdir()
        found = Exported(partial)
        if not apart:
            found.notes.append(f"encoder and decoder are not written apart: {run.model.refusals['decode']}")
        _weights(run, found, half, apart)
        if raw is not None:
            parts = [half] if half else ["model", "encoder", "decoder"] if apart else ["model"]
            _programs(run, found, parts, list(formats), raw)
        if raw is not None and int8:
            _int8(run, found, raw, _raw(run, own_split(run, "train").split) if data is None and not drawn else raw)
        _records(run, found)
    found.folder = Path(folder)
    return found


def _weights(run: TrainedRun, found: Exported, half: str | None, apart: bool) -> None:
    from safetensors.torch import save_file

    state = {name: value.detach().cpu().contiguous() for name, value in run.model.state_dict().items()}
    shared = ("latent.",) if hasattr(run.model.latent, "lookup") else ()           # entries of a codebook belong to both
    under = {"encoder": ("encoder.", "latent."), "decoder": ("decoder.", "likelihood.", *shared)}
    wanted = {half: under[half]} if half else {"model": ("",), **(under if apart else {})}
    for name, prefixes in wanted.items():
        save_file({key: value for key, value in state.items() if key.startswith(prefixes)}, found.folder / f"{name}.safetensors")
        found.files.append(f"{name}.safetensors")


def _samples(run: TrainedRun, data: NewData | None, drawn: bool) -> NDArray[Any]:
    """Raw samples [n, ...] to check programs with."""
    if drawn:
        return _drawn(run)
    if data is None:
        try:
            data = own_split(run, "test")
        except (DataError, CheckpointError) as error:
            raise DataError(Diagnostic(NO_SAMPLES, f"programs are checked on the run's own samples, which cannot be read: {error}",
                                       fix=Hint("--data FILE names others, --drawn takes random ones"))) from error
    return _raw(run, data.split)


def _raw(run: TrainedRun, split: Split) -> NDArray[Any]:
    """The first samples of a split as they were before scaling."""
    batch = SplitLoader(split, torch.device("cpu")).take(torch.arange(min(SAMPLES, len(split))))
    raw: NDArray[Any] = run.scaling.undo(batch.x.numpy())
    return raw


def _drawn(run: TrainedRun) -> NDArray[Any]:
    random, bounds, value = np.random.default_rng(0), run.info.range, run.plan.input
    shape = (SAMPLES, *value.shape)
    if isinstance(value, Tokens):
        return random.integers(0, value.classes, shape)
    low, high = bounds.low, bounds.high
    scaled = random.standard_normal(shape) if low is None or high is None else random.uniform(low, high, shape)
    return run.scaling.undo(scaled.astype(np.float32))


def _programs(run: TrainedRun, found: Exported, parts: list[str], formats: list[str], raw: NDArray[Any]) -> None:
    known = expected(run, raw)
    ends = {"encoder": ("raw", "codes"), "decoder": ("codes", "back"), "model": ("raw", "back")}
    for name in parts:
        part = PARTS[name](run).eval()
        given, wanted = (known[end] for end in ends[name])
        for kind in formats:
            file = found.folder / f"{name}{ENDINGS[kind]}"
            write = onnx_program if kind == "onnx" else torch_program
            program = write(part, given[:2].repeat_interleave(2, 0), file, name)
            found.programs.append(_checked(file, program, part, given, wanted))
            found.files.append(file.name)


def _checked(file: Path, program: Any, part: Any, given: Tensor, wanted: Tensor) -> Written:
    """The program's figures; SpecError, and no file, where it differs from the model."""
    pieces = [program(given[:1]), program(given[1:])] if len(given) > 1 else [program(given)]       # two sizes of a batch
    found = torch.cat([piece.detach() for piece in pieces])
    difference = float((found.double() - wanted.double()).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(wanted.double().abs().max())):
        file.unlink()
        raise SpecError(Diagnostic(DIFFERS, f"{file.name} differs from the model by {difference:.3g} on {len(given)} samples"))
    return Written(file.name, _size(file), difference, milliseconds(part, given[:1]), milliseconds(program, given[:1]))


def _size(file: Path) -> int:
    beside = file.with_name(f"{file.name}.data")
    return file.stat().st_size + (beside.stat().st_size if beside.exists() else 0)


def _int8(run: TrainedRun, found: Exported, raw: NDArray[Any], calibration: NDArray[Any]) -> None:
    """The encoder in int8, calibrated on training samples, with what the reconstruction of others costs more by it."""
    known = expected(run, raw)
    source, file = found.folder / "encoder.onnx", found.folder / "encoder.int8.onnx"
    encoder, kept = PARTS["encoder"](run).eval(), source.exists()
    if not kept:
        onnx_program(encoder, known["raw"][:2].repeat_interleave(2, 0), source, "encoder")
    program = quantised(source, file, torch.from_numpy(calibration))
    if not kept:
        source.unlink()
        source.with_name(f"{source.name}.data").unlink(missing_ok=True)
    codes = program(known["raw"])
    wanted = torch.from_numpy(run.scaling.apply(known["raw"].numpy()))
    found.loss = {"before": _loss(run, known["codes"], wanted), "after": _loss(run, codes, wanted)}
    found.programs.append(Written(file.name, _size(file), float((codes.double() - known["codes"].double()).abs().max()),
                                  milliseconds(encoder, known["raw"][:1]), milliseconds(program, known["raw"][:1])))
    found.files.append(file.name)


@torch.no_grad()
def _loss(run: TrainedRun, codes: Tensor, target: Tensor) -> float:
    """The mean reconstruction term of codes."""
    value = codes if codes.is_floating_point() else run.model.latent.lookup(codes)
    return float(run.model.likelihood(run.model.parameters_of(value), target).mean())


def _records(run: TrainedRun, found: Exported) -> None:
    """The spec, what is known of the data, the threshold where the run has one, and the manifest."""
    target = None if run.target_scaling is None else run.target_scaling.to_json()
    (found.folder / "spec.yaml").write_text(text(run.plan.spec), encoding="utf-8")
    known = {"info": run.info.to_json(), "scaling": run.scaling.to_json(), "target_scaling": target}
    (found.folder / "data.json").write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    found.files += ["spec.yaml", "data.json"]
    threshold = run.run.folder / "threshold.json"
    if threshold.is_file():
        shutil.copyfile(threshold, found.folder / threshold.name)
        found.files.append(threshold.name)
    found.files += [f"{name}.data" for name in list(found.files) if (found.folder / f"{name}.data").exists()]
    files = {name: {"bytes": (found.folder / name).stat().st_size,
                    "sha256": hashlib.sha256((found.folder / name).read_bytes()).hexdigest()} for name in found.files}
    manifest = {"name": run.plan.spec.name, "weights": run.kept, "versions": {"aebuild": version("aebuild"), "torch": torch.__version__,
                "python": platform.python_version()}, "files": files, "programs": [asdict(each) for each in found.programs],
                **({"int8_loss": found.loss} if found.loss else {})}
    (found.folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    found.files.append("manifest.json")
