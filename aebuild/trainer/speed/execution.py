"""How a training is computed: threads, precision, memory format, compiler. What is computed stays the same."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import ConfigDict, Field, TypeAdapter

from aebuild.modules.convolution import ConvTranspose2d
from aebuild.modules.transformer import Kernel, MultiHead
from aebuild.trainer.speed.cpu_replicas import replicable

if TYPE_CHECKING:
    from aebuild.modules.autoencoder import Autoencoder

Matmul = Literal["highest", "high", "medium"]
Half = Literal["encoder", "decoder"]
Count = Annotated[int, Field(ge=1)]
HALVES: tuple[Half, ...] = ("encoder", "decoder")
COMPILING = 60.0          # seconds that the compiler may need for a small model


@dataclass(frozen=True)
class Execution:
    """One way to compute a training; the defaults are plain float32, eager.

    `threads` of the CPU, 0 for torch's own choice · `workers`: parts of a batch computed side by side, each with so many threads ·
    `matmul` torch's float32 matmul precision: `high` is tf32 on a GPU · `precision` of encoder and decoder; latent, losses and
    parameters stay float32 · `memory` format of image tensors · `attention` kernel · `compiler`: none, inductor, or inductor with
    CUDA graphs · `recompute`: halves whose inner outputs are computed again for the gradient · `accumulate`: parts that a batch
    is computed in, one after the other.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    threads: Annotated[int, Field(ge=0)] = 0
    workers: Count = 1
    matmul: Matmul = "highest"
    precision: Literal["float32", "bfloat16"] = "float32"
    memory: Literal["contiguous", "channels_last"] = "contiguous"
    attention: Kernel = "auto"
    compiler: Literal["none", "inductor", "graphs"] = "none"
    recompute: tuple[Half, ...] = ()
    accumulate: Count = 1

    def but(self, **changes: Any) -> Self:
        """The same with these changes."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """What `to_json` wrote; ValueError if it is not that."""
        return TypeAdapter(cls).validate_json(json.dumps(told))

    def __str__(self) -> str:
        """What differs from plain float32, in words."""
        words = [f"{self.threads} thread{'s' if self.threads > 1 else ''}"] if self.threads else []
        words = [f"{self.workers} workers of {words[0] if words else 'all threads'}"] if self.workers > 1 else words
        words += [f"matmul {self.matmul}"] if self.matmul != "highest" else []
        words += [value for value in (self.precision, self.memory, self.compiler) if value not in ("float32", "contiguous", "none")]
        words += [f"{self.attention} attention"] if self.attention != "auto" else []
        words += [f"{' and '.join(self.recompute)} recomputed"] if self.recompute else []
        words += [f"batches in {self.accumulate} parts"] if self.accumulate > 1 else []
        return ", ".join(words) or "plain float32"

    def prepare(self, model: Autoencoder) -> None:
        """Makes the model compute this way; values and names of its parameters stay."""
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                if tensor.ndim == 4:
                    tensor.data = _laid_out(tensor.data, "contiguous" if self._misread(tensor) else self.memory)
        for module in model.modules():
            if isinstance(module, MultiHead):
                module.kernel = self.attention
            if isinstance(module, ConvTranspose2d):
                module.adjoint = self.memory == "channels_last" and module.weight.device.type == "cpu"
        for name, stage in zip(HALVES, (model.encoder, model.decoder), strict=True):
            stage.recompute = name in self.recompute
            stage.cast = torch.bfloat16 if self.precision == "bfloat16" else None
            stage._compiled_call_impl = None
            if self.compiler != "none":
                with warnings.catch_warnings(action="ignore"):       # torch's compiler uses what torch deprecates
                    stage.compile(mode="reduce-overhead" if self.compiler == "graphs" else None, dynamic=False)

    def _misread(self, weight: torch.Tensor) -> bool:
        """True where torch's bfloat16 convolution on a CPU reads beyond an image of one channel, whose layouts look alike (torch 2.13)."""
        return self.precision == "bfloat16" and weight.device.type == "cpu" and weight.shape[1] == 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Sets what torch keeps for the whole process, and puts it back."""
        before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        try:
            self._set(self.threads or before[0], self.matmul, self.matmul != "highest")
            yield
        finally:
            self._set(*before)

    @staticmethod
    def _set(threads: int, matmul: str, tf32: bool) -> None:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = tf32


def _laid_out(tensor: torch.Tensor, memory: str) -> torch.Tensor:
    """The tensor with the strides of this format, also where it has one channel and torch would call either format the other.

    From a weight's strides torch decides in which format the convolution runs; the first one often has one channel.
    """
    c, h, w = tensor.shape[1:]
    strides = (c * h * w, 1, w * c, c) if memory == "channels_last" else (c * h * w, h * w, w, 1)
    return tensor if tensor.stride() == strides else torch.empty_strided(
        tensor.shape, strides, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def exact(device: torch.device, recompute: Iterable[Half] = ()) -> Execution:
    """Plain float32, eager, with torch's own number of threads."""
    return Execution(threads=torch.get_num_threads() if device.type == "cpu" else 0, recompute=tuple(recompute))


def candidates(base: Execution, model: Autoencoder, device: torch.device, patience: float,
               most: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Changes of a plan worth measuring on this device, cheap ones first.

    `patience` is how many seconds a compiler may take, `most` how many parts a batch can have.
    """
    modules = list(model.modules())
    if device.type == "cpu":
        for threads in sorted({1, base.threads // 2} - {0, base.threads}):
            yield f"{threads} thread{'s' if threads > 1 else ''}", {"threads": threads}
    else:
        yield "tf32", {"matmul": "high"}
    if any(isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d) for module in modules):
        yield "channels_last", {"memory": "channels_last"}
    if device.type == "cpu":
        most = most if replicable(model) else 1
        for workers in (number for number in range(2, min(base.threads, most) + 1) if base.threads % number == 0):
            yield f"{workers} workers", {"workers": workers, "threads": base.threads // workers}
        yield "matmul medium", {"matmul": "medium"}
    if any(isinstance(module, MultiHead) for module in modules):
        for kernel in ("plain", "fused"):
            yield f"{kernel} attention", {"attention": kernel}
    if device.type == "cuda" or computes_bfloat16():
        yield "bfloat16", {"precision": "bfloat16"}
    if patience >= COMPILING:
        yield "inductor", {"compiler": "inductor", "workers": 1, "threads": base.threads}
        if device.type == "cuda":
            yield "graphs", {"compiler": "graphs"}


def computes_bfloat16() -> bool:
    """True if this CPU multiplies bfloat16 in hardware; without it bfloat16 is emulated and slow."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(_cpu_line("flags", "Features").split()))


def processor() -> str:
    """The name of this machine's CPU, empty where the system does not tell."""
    return _cpu_line("model name", "CPU part").partition(":")[2].strip()


def _cpu_line(*keys: str) -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:
            return next((line for line in stream if line.startswith(keys)), "")
    except OSError:
        return ""
