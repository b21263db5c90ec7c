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
from typing import TYPE_CHECKING

import torch

from aebuild.compile.canonical import text
from aebuild.data.new_samples import paired
from aebuild.lang.diagnostics import DataError, Diagnostic, Hint, Rule, SpecError
from aebuild.results.export.generation import Generation, generation
from aebuild.results.export.programs import ENDINGS, Exporter, Written
from aebuild.results.export.samples import NO_SAMPLES, RawSamples, checking_samples, first_samples
from aebuild.results.export.series_length import SeriesLength
from aebuild.results.inference.new_data import own_split
from aebuild.results.inference.row_files import appearing

if TYPE_CHECKING:
    from aebuild.data.new_samples import NewData
    from aebuild.results.trained_run import TrainedRun

NOT_APART = Rule("AE533", "a decoder that cannot be exported apart", """\
A decoder that reads the encoder's features through skips cannot work from a code alone, so there is no such half to export, and nothing
to tell what int8 costs by. The encoder alone and the whole model can be had.

```console
$ aebuild export runs/unet --half decoder -o out      # refused
$ aebuild export runs/unet --half encoder -o out
```
""")


@dataclass
class Exported:
    """What was written."""

    folder: Path
    files: list[str] = field(default_factory=list)
    programs: list[Written] = field(default_factory=list)
    lengths: dict[str, SeriesLength] = field(default_factory=dict)        # by part that is a program, where it takes series
    loss: dict[str, float] = field(default_factory=dict)        # of the int8 encoder: before and after
    generation: Generation | None = None          # where the decoder's program reads the data that it is to make
    notes: list[str] = field(default_factory=list)


def export_run(run: TrainedRun, folder: str | Path, *, half: str | None = None, formats: Sequence[str] = (), int8: bool = False,
               data: NewData | None = None, drawn: bool = False) -> Exported:
    """Writes the folder; SpecError where the design cannot be exported so, DataError where nothing is there to check programs with."""
    apart = "decode" not in run.model.refusals
    if strange := {*formats} - {*ENDINGS} or {half} - {None, "encoder", "decoder"}:
        raise ValueError(f"an export is of the encoder, the decoder or both, as {' or '.join(ENDINGS)}; not {strange.pop()!r}")
    if half == "decoder" and not apart:
        raise SpecError(Diagnostic(NOT_APART, f"the decoder cannot be exported apart: {run.model.refusals['decode']}",
                                   fix="--half encoder"))
    if int8 and not apart:
        raise SpecError(Diagnostic(NOT_APART, f"nothing tells what int8 costs: {run.model.refusals['decode']}", fix=Hint("without --int8")))
    forced = bool(formats) and half != "encoder" and run.plan.autoregression is not None
    if (int8 or forced) and data is not None:
        paired(data)
    if (int8 or forced) and drawn and run.target_scaling is not None:
        what = "nothing tells what int8 costs" if int8 else "the decoder's program has none to read"
        raise DataError(Diagnostic(NO_SAMPLES, f"drawn samples do not say what this model is to make of them, so {what}",
                                   fix=Hint("--data FILE names pairs")))
    samples = checking_samples(run, data, drawn) if formats or int8 else None
    calibration = first_samples(run, own_split(run, "train").split) if int8 and data is None and not drawn else samples
    with appearing(Path(folder)) as partial:
        partial.mkdir()
        found = Exported(partial)
        if not apart and half is None:
            found.notes.append(f"no decoder is written apart: {run.model.refusals['decode']}")
        parts = (half,) if half else ("model", "encoder", "decoder") if apart else ("model", "encoder")
        _weights(run, found, parts)
        if forced and half is None:
            why = run.plan.refusals["reconstruct in one program"]
            found.notes.append(f"the whole cannot be one program: {why}; encoder and decoder can")
            parts = ("encoder", "decoder")
        if samples is not None:
            _programs(Exporter(run, partial, samples), found, parts if formats else [], formats, calibration if int8 else None)
        _records(run, found)
    found.folder = Path(folder)
    return found


def _programs(exporter: Exporter, found: Exported, parts: Sequence[str], formats: Sequence[str], calibration: RawSamples | None) -> None:
    for name in parts:
        found.programs += exporter.write(name, formats)
    if calibration is not None:
        written, found.loss = exporter.int8(calibration)
        found.programs.append(written)
    found.files += [program.file for program in found.programs]
    made = {program.file.partition(".")[0] for program in found.programs}
    found.generation = generation(exporter.run) if "decoder" in made else None
    found.lengths = {name: length for name, length in exporter.lengths.items() if name in made}


def _weights(run: TrainedRun, found: Exported, parts: Sequence[str]) -> None:
    from safetensors.torch import save_file

    state = {name: value.detach().cpu().contiguous() for name, value in run.model.state_dict().items()}
    shared = ("latent.",) if hasattr(run.model.latent, "lookup") else ()           # entries of a codebook belong to both
    under = {"model": ("",), "encoder": ("encoder.", "latent."), "decoder": ("decoder.", "likelihood.", *shared)}
    for name in parts:
        save_file({key: value for key, value in state.items() if key.startswith(under[name])}, found.folder / f"{name}.safetensors")
        found.files.append(f"{name}.safetensors")


def _records(run: TrainedRun, found: Exported) -> None:
    """The spec, what is known of the data, scores, threshold and priors where the run keeps them, and the manifest."""
    target = None if run.target_scaling is None else run.target_scaling.to_json()
    (found.folder / "spec.yaml").write_text(text(run.plan.spec), encoding="utf-8")
    known = {"info": run.info.to_json(), "scaling": run.scaling.to_json(), "target_scaling": target}
    (found.folder / "data.json").write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    found.files += ["spec.yaml", "data.json"]
    for path in sorted([*run.run.folder.glob("threshold.json"), *run.run.folder.glob("scorer.safetensors"),
                        *run.run.folder.glob("prior-*.safetensors")]):          # what was fitted to the run's data afterwards
        if path.is_file():
            shutil.copyfile(path, found.folder / path.name)
            found.files.append(path.name)
    found.files += [f"{name}.data" for name in list(found.files) if (found.folder / f"{name}.data").exists()]
    files = {name: {"bytes": (found.folder / name).stat().st_size,
                    "sha256": hashlib.sha256((found.folder / name).read_bytes()).hexdigest()} for name in found.files}
    manifest = {"name": run.plan.spec.name, "weights": run.kept, "versions": {"aebuild": version("aebuild"), "torch": torch.__version__,
                "python": platform.python_version()}, "files": files, "programs": [asdict(each) for each in found.programs],
                **({"series": {name: asdict(length) for name, length in found.lengths.items()}} if found.lengths else {}),
                **({"generation": asdict(found.generation)} if found.generation else {}),
                **({"int8_loss": found.loss} if found.loss else {})}
    (found.folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    found.files.append("manifest.json")
