"""The programs of a run: written, checked on samples and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from aebuild.lang.diagnostics import Diagnostic, Rule, SpecError
from aebuild.results.export.formats import Recipe, Run, milliseconds, onnx_program, quantised, torch_program
from aebuild.results.export.halves import PARTS, beside
from aebuild.results.export.samples import Case, RawSamples, case_of, decoder_case
from aebuild.results.export.series_length import series_lengths

if TYPE_CHECKING:
    from aebuild.results.trained_run import TrainedRun

DIFFERS = Rule("AE534", "an exported program that differs from the model", """\
Each program is run on samples before it is called done, and what it gives is compared with the model itself. This one gave something
else, so it was taken away again.

```console
$ aebuild export runs/vae --format onnx -o out        # refused: the program differs
$ aebuild export runs/vae -o out
```
""")
TOLERANCE = 1e-3       # of the largest value; of whole numbers, the share of them that may be others
ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}


@dataclass
class Written:
    """A program: where it is, how far it is from the model, and what a sample takes in milliseconds.

    The `difference` of `values` is the largest one; that of `indices` and `tokens`, which are names, the share of them that are others.
    """

    file: str
    bytes: int
    difference: float
    of: str
    eager_ms: float
    exported_ms: float

    def __str__(self) -> str:
        share = f"{100 * self.difference:.2g} % of the {self.of} differ"
        far = f"differs by {self.difference:.2g} at most" if self.of == "values" else share
        return (f"{self.file:<20} {self.bytes:>12,} bytes · {far} · one sample {self.exported_ms:.3f} ms, eager {self.eager_ms:.3f} ms, "
                f"{self.eager_ms / self.exported_ms:.1f} times as fast")


class Exporter:
    """Writes the programs of a run to a folder, and checks each on samples: of their length, and of others where it takes them.

    `lengths` says by part which those are.
    """

    def __init__(self, run: TrainedRun, folder: Path, samples: RawSamples) -> None:
        self.run, self.folder, self.samples = run, folder, samples
        self.lengths = series_lengths(run.plan, run.info)

    def write(self, name: str, formats: Sequence[str]) -> list[Written]:
        """A part (model, encoder, decoder) as `onnx`, `torch` or both; SpecError, and no file, where one differs from the model."""
        cases, part = self._cases(name), PARTS[name](self.run).eval()
        recipe = self._recipe(name, cases)
        found = []
        for kind in formats:
            file = self.folder / f"{name}{ENDINGS[kind]}"
            program = (onnx_program if kind == "onnx" else torch_program)(recipe, file, name)
            made = [_compared(program, case, name) for case in cases]
            if not all(each.small for each in made):
                file.unlink()
                worst = next(each for each in made if not each.small)
                raise SpecError(Diagnostic(DIFFERS, f"{file.name} {worst} on {len(cases[0].inputs[0])} samples"))
            found.append(_measured(file, program, part, cases[0], max(made, key=Distance.beside_limit)))
        return found

    def int8(self, calibration: RawSamples) -> tuple[Written, dict[str, float]]:
        """The encoder in int8, calibrated on training samples, and the mean reconstruction term of the others before and after."""
        source, file = self.folder / "encoder.onnx", self.folder / "encoder.int8.onnx"
        case, part, kept = case_of(self.run, "encoder", self.samples), PARTS["encoder"](self.run).eval(), source.exists()
        if not kept:
            onnx_program(self._recipe("encoder", self._cases("encoder")), source, "encoder")
        program = quantised(source, file, case_of(self.run, "encoder", calibration).inputs, ("input", *beside(self.run, "encoder")))
        if not kept:
            source.unlink()
            source.with_name(f"{source.name}.data").unlink(missing_ok=True)
        codes = program(*case.inputs)
        loss = {"before": self._loss(case.outputs[0]), "after": self._loss(codes)}
        return _measured(file, program, part, case, _far(codes, case.outputs[0], "encoder")), loss

    def _cases(self, name: str) -> list[Case]:
        """What the part must make of the samples; where it takes series of any length, of shorter and longer ones too."""
        cases, length = [case_of(self.run, name, self.samples)], self.lengths.get(name)
        for places in [] if length is None else length.others():
            try:
                cases.append(self._of_length(name, places))
            except Exception as error:          # a module of a plug-in may do anything
                why = str(error).strip().partition("\n")[0][:200]
                self.lengths[name] = replace(self.lengths[name], least=None, why=f"the model fails at {places:,} ({why})")
                return cases[:1]
        return cases

    def _of_length(self, name: str, places: int) -> Case:
        axis = self.lengths[name].axis
        if name != "decoder":
            return case_of(self.run, name, self.samples.of_length(places, axis))
        codes, *told = case_of(self.run, name, self.samples).inputs
        return decoder_case(self.run, torch.from_numpy(RawSamples(codes.numpy()).of_length(places, axis).values), *told)

    def _recipe(self, name: str, cases: Sequence[Case]) -> Recipe:
        example = tuple(x[:2].repeat_interleave(2, 0) for x in cases[-1].inputs)
        first = ("code", "target") if name == "decoder" and self.run.plan.autoregression is not None else ("input",)
        return Recipe(PARTS[name](self.run).eval(), example, self.lengths.get(name), (*first, *beside(self.run, name)), cases[-1].names)

    @torch.no_grad()
    def _loss(self, codes: Tensor) -> float:
        """The mean reconstruction term of codes."""
        model, samples = self.run.model, self.samples
        value = codes if codes.is_floating_point() else model.latent.lookup(codes)
        target = torch.from_numpy(self.run.scaling.apply(samples.values) if samples.target is None else samples.target)
        lengths, mask = (None if held is None else torch.from_numpy(held) for held in (samples.lengths, samples.mask))
        told = {"target": target, "mask": mask, "conditions": None if samples.conditions is None else torch.from_numpy(samples.conditions)}
        context = {name: held for name, held in told.items() if held is not None}
        return float(model.likelihood.within(model.parameters_of(value, context), target, lengths, mask).mean())


@dataclass(frozen=True)
class Distance:
    """How far outputs are from those that they should be: the largest difference of values, or the share of other names."""

    size: float
    of: str
    limit: float

    def beside_limit(self) -> float:
        """How far beside what rounding may be."""
        return self.size / self.limit

    @property
    def small(self) -> bool:
        """Whether rounding explains it."""
        return self.size <= self.limit

    def __str__(self) -> str:
        if self.of == "values":
            return f"differs from the model by {self.size:.3g}"
        return f"has other {self.of} than the model, {self.size:.2%} of them,"


def _compared(program: Run, case: Case, part: str) -> Distance:
    """A program in batches of two sizes beside the model."""
    cuts = [case.rows(0, 1), case.rows(1, None)] if len(case.inputs[0]) > 1 else [case.inputs]
    pieces = [found if isinstance(found, tuple) else (found,) for found in (program(*cut) for cut in cuts)]
    whole = [torch.cat([piece.detach() for piece in each]) for each in zip(*pieces, strict=True)]
    return max((_far(found, wanted, part) for found, wanted in zip(whole, case.outputs, strict=True)), key=Distance.beside_limit)


def _far(found: Tensor, wanted: Tensor, part: str) -> Distance:
    if not wanted.is_floating_point():
        return Distance(float((found != wanted).double().mean()), "indices" if part == "encoder" else "tokens", TOLERANCE)
    far = float((found.double() - wanted.double()).abs().max())
    return Distance(far, "values", TOLERANCE * max(1.0, float(wanted.double().abs().max())))


def _measured(file: Path, program: Run, part: nn.Module, case: Case, far: Distance) -> Written:
    one, beside = case.rows(0, 1), file.with_name(f"{file.name}.data")
    size = file.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
    return Written(file.name, size, far.size, far.of, milliseconds(part, one), milliseconds(program, one))
