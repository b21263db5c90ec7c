"""A model that torch exports or traces computes what the model computes, for any batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from aebuild.modules.autoencoder import Autoencoder


class Way(nn.Module):
    """One operation of a model as a module, as one exports it."""

    def __init__(self, model: Autoencoder, run: Callable[[Autoencoder, Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.run = model, run

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to [N, ...]."""
        return self.run(self.model, x)


def ways(model: Autoencoder, x: Tensor) -> list[tuple[Way, Tensor]]:
    """What is exported, each with a batch."""
    code = settled(model, x)
    made = [(Way(model, Autoencoder.forward), x), (Way(model, lambda model, x: model.encode(x).value), x)]
    return made if "decode" in model.refusals else [*made, (Way(model, Autoencoder.decode), code)]


def settled(model: Autoencoder, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
    """The code without noise."""
    context = {} if context is None else context
    code = model.code_of(model.features(model.formed(x), context), x, context)
    value: Tensor = code.value if code.posterior is None else code.posterior.mean
    return value


def expected(number: int, model: Autoencoder, x: Tensor) -> Tensor:
    """What a recorded way gives: the model's own answer, free of noise."""
    context: dict[str, Any] = {"input": x}
    return model.decode(x) if number == 2 else settled(model, x) if number else model.decode(settled(model, x, context), context)


def recorded(way: Way, x: Tensor) -> list[nn.Module]:
    """As torch's program, and as a trace; no warning comes from this package."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        traced: nn.Module = torch.jit.trace(way, (x,), check_trace=False)  # type: ignore[no-untyped-call]
        found = [torch.export.export(way, (x,), dynamic_shapes=({0: Dim.DYNAMIC},)).module(), traced]
    assert not [warning for warning in told if "aebuild" in warning.filename]
    return found


def check(model: Autoencoder, x: Tensor, only: int = 3) -> None:
    """Every way, recorded with three samples, at one, two and five."""
    with torch.no_grad():
        for number, (way, given) in enumerate(ways(model, x)[:only]):
            for program in recorded(way, given[:3]):
                for count in (1, 2, 5):
                    torch.testing.assert_close(program(given[:count]), expected(number, model, given[:count]), rtol=1e-4, atol=1e-5)
