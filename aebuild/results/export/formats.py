"""Programs of torch.export and ONNX: written, run and measured."""

from __future__ import annotations

import importlib
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, SpecError, UsageError
from aebuild.results.export.recurrence import onnx_layers, whole_layers
from aebuild.results.export.series_length import SeriesLength

NO_PACKAGE = Rule("AE531", "an export needs other packages", """\
ONNX files are written by the packages onnx and onnxscript and checked with onnxruntime: the extra `onnx`.

```console
$ aebuild export runs/vae --format onnx -o out       # without them: refused
$ pip install onnx onnxscript onnxruntime
$ aebuild export runs/vae --format onnx -o out
```
""")
NOT_RECORDED = Rule("AE532", "a model that cannot be recorded as a program", """\
A program holds the tensor operations of one pass. What decides in Python by the values of tensors, as a plug-in's module may, cannot be
recorded; the weights of such a model can still be exported.

```console
$ aebuild export runs/vae --format torch -o out      # refused where a module of a plug-in does that
$ aebuild export runs/vae -o out
```
""")
Run = Callable[..., Any]       # of a program with one output that tensor, else a tuple
SECONDS = 0.3         # of measuring one latency


@dataclass(frozen=True)
class Recipe:
    """What is written as a program: a module, what goes into it by way of example, of which lengths that may be, and all names.

    The first axis of all inputs is that of the batch.
    """

    part: nn.Module
    example: tuple[Tensor, ...]
    length: SeriesLength | None = None
    names: tuple[str, ...] = ("input",)
    outputs: tuple[str, ...] = ("output",)

    @property
    def axes(self) -> tuple[dict[int, Any], ...]:
        """By input its axes that have no fixed extent."""
        batch, length = torch.export.Dim("batch"), self.length
        along: dict[int, Any] = {}
        if length is not None and length.least is not None:
            steps, rest = divmod(length.least, length.step)
            along[length.axis] = torch.export.Dim("time", min=length.least) if length.step == 1 else _stepwise(length.step, steps, rest)
        return ({0: batch, **along}, *({0: batch} for _ in self.example[1:]))


def _stepwise(step: int, least: int, rest: int) -> Any:
    """An extent of step · n + rest for any n from `least` on."""
    whole: Any = step * torch.export.Dim("steps", min=least)
    return whole + rest if rest else whole


def packages() -> tuple[Any, Any]:
    """onnx and onnxruntime; UsageError where one is not installed."""
    try:
        importlib.import_module("onnxscript")
        return importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    except ImportError as error:
        raise UsageError(Diagnostic(NO_PACKAGE, f"ONNX needs the package {error.name}, which is not installed",
                                    fix="pip install onnx onnxscript onnxruntime")) from error


@contextmanager
def _recorded(what: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)          # of packages that torch would also know
            with whole_layers(), torch.no_grad():          # a module that turns gradients off by itself would be a step of its own
                yield
    except Exception as error:          # torch raises whatever the module did
        reason = str(error).strip().split("\n")[0][:200]
        raise SpecError(Diagnostic(NOT_RECORDED, f"the {what} cannot be recorded as a program: {reason}",
                                   fix=Hint("without --format the weights are exported"))) from error
    finally:
        logging.disable(logging.NOTSET)


def torch_program(recipe: Recipe, place: Path, what: str) -> Run:
    """Writes a program of torch.export, and loads it again."""
    with _recorded(what):
        program = torch.export.export(recipe.part, recipe.example, dynamic_shapes=recipe.axes, strict=False)
        torch.export.save(program, place)
    loaded: Any = torch.export.load(place).module()
    return lambda *inputs: loaded(*inputs)


def onnx_program(recipe: Recipe, place: Path, what: str) -> Run:
    """Writes an ONNX file, and opens it in onnxruntime."""
    packages()
    with _recorded(what):
        made = torch.onnx.export(recipe.part, recipe.example, dynamo=True, verbose=False, input_names=recipe.names,
                                 output_names=recipe.outputs, dynamic_shapes=recipe.axes, custom_translation_table=onnx_layers())
        assert made is not None
        made.save(place)
    return onnx_session(place)


def onnx_session(place: Path) -> Run:
    """An ONNX file, opened in onnxruntime on the CPU."""
    _, runtime = packages()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> Any:
        found = [torch.from_numpy(each) for each in session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})]
        return found[0] if len(found) == 1 else tuple(found)

    return run


def quantised(source: Path, place: Path, samples: tuple[Tensor, ...], names: tuple[str, ...]) -> Run:
    """Writes the int8 form of an ONNX file: convolutions by ranges seen on the samples, all else by those of each batch.

    `names` are those of its inputs.
    """
    onnx, _ = packages()
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    convolves = any(node.op_type == "Conv" for node in onnx.load(str(source)).graph.node)
    with _recorded("encoder in int8"):
        if convolves:
            quantization.quantize_static(str(source), str(place), _Samples(samples, names), per_channel=True)
        else:
            quantization.quantize_dynamic(str(source), str(place))
    return onnx_session(place)


class _Samples:
    """Samples one by one, as onnxruntime's calibration asks for them."""

    def __init__(self, inputs: tuple[Tensor, ...], names: tuple[str, ...]) -> None:
        self._left = iter([{name: x[row:row + 1].numpy() for name, x in zip(names, inputs, strict=True)} for row in range(len(inputs[0]))])

    def get_next(self) -> dict[str, Any] | None:
        """The next sample, None behind the last."""
        return next(self._left, None)


def milliseconds(run: Run, inputs: tuple[Tensor, ...]) -> float:
    """The median time of one sample, inputs [1, ...], after a few to warm up."""
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(5):
            run(*inputs)
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end or len(times) < 5:
            begun = time.perf_counter()
            run(*inputs)
            times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)
