"""A code in levels: each has a latent of its own, and reads the level above it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.above import ABOVE
from aebuild.modules.code import Code
from aebuild.modules.discrete import DiscreteLatent, IndexedLatent
from aebuild.modules.latent import Latent
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs, repeated_rows
from aebuild.modules.posteriors import Distribution
from aebuild.modules.priors import Prior
from aebuild.modules.stage import Contextual, unlearned


class Above(nn.Module):
    """The code of the level above, projected and brought to the places of what a level reads."""

    def __init__(self, project: nn.Module, places: Sequence[int], axis: int, *, flat: bool) -> None:
        super().__init__()
        self.project = project
        self.places, self.axis, self.flat = tuple(places), axis, flat

    def forward(self, code: Tensor) -> Tensor:
        """[N, ...] to [N, C, *places], or with the features last."""
        y: Tensor = self.project(code.flatten(1) if self.flat else code)
        if not self.places:
            return y
        if y.ndim == 2:
            return spread(y, self.places, self.axis)
        first = y.movedim(self.axis, 1)                                       # (N, C, places)
        return nn.functional.interpolate(first, size=self.places, mode="nearest").movedim(1, self.axis)


def spread(code: Tensor, places: Sequence[int], axis: int) -> Tensor:
    """[N, C] at each place, [N, C, *places], or with the features last."""
    wide = code.view(*code.shape, *(1,) * len(places)).expand(*code.shape, *places)
    return wide.movedim(1, axis)


class SplitCodes(Contextual):
    """The codes of all levels, [N, D], apart: the first goes on, the others wait in the context for the steps that join them."""

    def __init__(self, keys: Sequence[str], shapes: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.keys, self.shapes = tuple(keys), [tuple(shape) for shape in shapes]

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """[N, D] to the first level's code, [N, ...]."""
        first, *others = split_codes(x, self.shapes)
        context.update(zip(self.keys, others, strict=True))
        return first


class JoinCode(Contextual):
    """Stacks the code of a level on its input, a vector at each place."""

    def __init__(self, key: str, axis: int) -> None:
        super().__init__()
        self.key, self.axis = key, axis

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """[N, C, ...] to [N, C + C', ...]."""
        code: Tensor = context[self.key]
        if code.ndim == 2 and x.ndim > 2:
            code = spread(code, [size for at, size in enumerate(x.shape) if at not in (0, self.axis % x.ndim)], self.axis)
        return torch.cat([x, code], self.axis)


def split_codes(flat: Tensor, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """[N, D] as the codes of these shapes, [N, *shape] each."""
    parts = torch.split(flat, [prod(shape) for shape in shapes], 1)
    return [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]


class Joint(Distribution):
    """The posteriors of all levels; `mean` takes each level's mean, given the means above it."""

    def __init__(self, mean: Callable[[], Tensor]) -> None:
        self._mean = mean

    @property
    def mean(self) -> Tensor:  # type: ignore[override]
        """[N, D]."""
        return self._mean()


class Levels(Latent):
    """Codes from the top down: each level's latent reads a step of the encoder, `taps`, and the code above it.

    The whole code is flat, [N, D], the top first. A prior may read the code above it too; new codes are drawn from the top down.
    Terms and metrics of level i have `_i` behind their name.
    """

    def __init__(self, levels: Sequence[Latent], above: Sequence[Above | None], taps: Sequence[str | None],
                 shapes: Sequence[Sequence[int]]) -> None:
        super().__init__({}, LevelsPrior.of(levels, self.prior_shapes(levels, shapes)))
        for i, (level, each) in enumerate(zip(levels, above, strict=True)):
            self.add_module(str(i), level)
            if each is not None:
                self.add_module(f"above_{i}", each)
        self.taps, self.shapes = tuple(taps), [tuple(shape) for shape in shapes]

    @property
    def levels(self) -> list[Any]:
        """The latents of the levels, the top first."""
        return [self.get_submodule(str(i)) for i in range(len(self.shapes))]

    @staticmethod
    def prior_shapes(levels: Sequence[Any], shapes: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """What the levels' priors are distributions of: codes."""
        return shapes

    @property
    def posterior(self) -> nn.Module:
        """That of the first level which draws its code; AttributeError where none does."""
        for level in self.levels:
            if hasattr(level, "posterior"):
                found: nn.Module = level.posterior
                return found
        raise AttributeError("no level draws its code")

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """The codes of all levels, [N, D], their terms and metrics."""
        context = {} if context is None else context
        codes = self._down(h, context, draws)
        terms, metrics = ({f"{name}_{i}": value for i, code in enumerate(codes) for name, value in getattr(code, kind).items()}
                          for kind in ("terms", "metrics"))

        def mean() -> Tensor:
            with unlearned(self):
                return flat([code.value for code in self._down(h, context, None, means=True)])

        drawn = any(code.posterior is not None for code in codes)
        return Code(flat([code.value for code in codes]), terms, metrics, self.indices_of(codes), Joint(mean) if drawn else None,
                    self.beside_of(codes))

    def _down(self, h: Tensor, context: dict[str, Any], draws: int | None, *, means: bool = False) -> list[Code]:
        found: list[Code] = []
        for i, (level, tap) in enumerate(zip(self.levels, self.taps, strict=True)):
            x, seen, count = h if tap is None else context[tap], context, draws
            if found:
                code = found[-1].value
                rows = 1 if draws is None else code.shape[0] // x.shape[0]            # 1 as long as no level above is random
                count = draws if rows == 1 else 1
                seen = {key: repeated_rows(value, rows) if isinstance(value, Tensor) else value for key, value in context.items()}
                above = self.get_submodule(f"above_{i}")
                assert isinstance(above, Above)
                x = torch.cat([repeated_rows(x, rows), above(code)], above.axis)
                seen[ABOVE] = code.flatten(1)
            made: Code = level(x, seen, count)
            if means and made.posterior is not None:
                made.value = made.posterior.mean
            found.append(made)
        for made in found if draws is not None else ():
            rows = found[-1].value.shape[0] // made.value.shape[0]
            made.value = repeated_rows(made.value, rows)
            made.indices = None if made.indices is None else repeated_rows(made.indices, rows)
        return found

    def indices_of(self, codes: Sequence[Code]) -> Tensor | None:
        """The indices of all levels, where all have some."""
        return None

    def beside_of(self, codes: Sequence[Code]) -> dict[str, Tensor]:
        """What `codes_of` reads of a pass besides."""
        return {}

    def losses(self) -> dict[str, LossFunction]:
        """The surprise of those priors that are learned in a phase, and the terms that levels make of a pass."""
        found: dict[str, LossFunction] = {"prior": self.surprise}
        for i, level in enumerate(self.levels):
            for name, function in level.losses().items():
                if name != "prior":
                    found[f"{name}_{i}"] = self._of_level(function, i)
        return found

    def _of_level(self, function: LossFunction, i: int) -> LossFunction:
        def loss(outputs: Outputs) -> Tensor | None:
            return function(replace(outputs, code=Code(split_codes(outputs.code.value, self.shapes)[i])))

        return loss


class DiscreteLevels(IndexedLatent, Levels):
    """Levels that all have indices; those of a sample are one row, the top first."""

    def __init__(self, levels: Sequence[DiscreteLatent], *args: Any) -> None:
        super().__init__(levels, *args)
        self.widths = [level.width for level in levels]
        self.codes, self.width = max(level.codes for level in levels), sum(self.widths)
        self.book_sizes = [size for level in levels for size in level.book_sizes]
        self.books = len(self.book_sizes)

    @staticmethod
    def prior_shapes(levels: Sequence[Any], shapes: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """Indices."""
        return [(level.width,) for level in levels]

    def indices_of(self, codes: Sequence[Code]) -> Tensor | None:
        """[N, width]."""
        return torch.cat([code.indices for code in codes if code.indices is not None], 1)

    def by_book(self, indices: Tensor) -> list[Tensor]:
        """Indices [N, width] as those of each book."""
        parts = torch.split(indices, self.widths, 1)
        return [book for level, part in zip(self.levels, parts, strict=True) for book in level.by_book(part)]

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, width] to codes [N, D]."""
        parts = torch.split(indices, self.widths, 1)
        return flat([level.lookup(part) for level, part in zip(self.levels, parts, strict=True)])


class MixedLevels(Levels):
    """Levels of which some have indices; priors are distributions of rows [N, W] of values and, as numbers, indices, the top first."""

    @staticmethod
    def prior_shapes(levels: Sequence[Any], shapes: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """Codes, or indices."""
        indexed = [isinstance(level, IndexedLatent) for level in levels]
        return [(level.width,) if has else shape for level, has, shape in zip(levels, indexed, shapes, strict=True)]

    def beside_of(self, codes: Sequence[Code]) -> dict[str, Tensor]:
        """The rows."""
        return {"rows": flat([level.codes_of(code).float() for level, code in zip(self.levels, codes, strict=True)])}

    def codes_of(self, code: Code) -> Tensor:
        """[N, W]."""
        return code.beside["rows"]

    def code_from(self, codes: Tensor) -> Code:
        """Of rows [N, W]."""
        prior: LevelsPrior = self.prior  # type: ignore[assignment]
        found = [level.code_from(part).value for level, part in zip(self.levels, prior.parts(codes), strict=True)]
        return Code(flat(found), beside={"rows": codes})

    def surprise_at_indices(self, outputs: Outputs) -> Tensor:
        """[N] nats of a pass's indices, which no KL tells of."""
        prior: LevelsPrior = self.prior.given(outputs.context)  # type: ignore[assignment]
        return prior.surprise_at_indices(self.codes_of(outputs.code))

    def draw(self, n: int, context: dict[str, Any] | None = None) -> Tensor:
        """`n` codes, drawn from the top down."""
        return self.code_from(super().draw(n, context)).value


def flat(codes: Iterable[Tensor]) -> Tensor:
    """Codes [N, ...] one behind the other, [N, D]."""
    return torch.cat([code.flatten(1) for code in codes], 1)


class LevelsPrior(Prior):
    """The priors of levels from the top down, each given the code above it; of indices where the levels have some.

    `shapes` are those of what each level's prior is a distribution of.
    """

    def __init__(self, levels: Sequence[Latent], shapes: Sequence[Sequence[int]], context: dict[str, Any] | None = None) -> None:
        super().__init__((sum(map(prod, shapes)),))
        self._levels, self._shapes = list(levels), list(shapes)       # a list, so that they stay modules of the latent alone
        self._context = context or {}

    def given(self, context: dict[str, Any]) -> Prior:
        """The same where each level's prior sees the context."""
        return type(self)(self._levels, self._shapes, context) if context else self

    @staticmethod
    def of(levels: Sequence[Latent], shapes: Sequence[Sequence[int]]) -> LevelsPrior:
        """One that is fitted where the prior of some level is."""
        fitted = any(type(level.prior).fit is not Prior.fit for level in levels)
        return (FittedLevels if fitted else LevelsPrior)(levels, shapes)

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, D], or indices [n, width]."""
        found: list[Tensor] = []
        context = self._context
        for level in self._levels:
            found.append(level.settled(level.prior.given(context).draw(n, device)))
            context = {**context, ABOVE: level.code_from(found[-1]).value.flatten(1)}
        return flat(found)

    def log_prob(self, codes: Tensor) -> Tensor:
        """[N], of all levels together that have a density."""
        return self._summed(codes, "log_prob")

    def surprise(self, codes: Tensor) -> Tensor:
        """[N] nats or a bound of them, of all levels together that know one."""
        return self._summed(codes, "surprise")

    def surprise_at_indices(self, codes: Tensor) -> Tensor:
        """[N] nats of the levels that have indices, each given the code above it."""
        return self._summed(codes, "surprise", indexed=True)

    def _summed(self, codes: Tensor, what: str, *, indexed: bool = False) -> Tensor:
        total = torch.zeros(len(codes), device=codes.device)
        context = self._context
        for level, part in zip(self._levels, self.parts(codes), strict=True):
            counts = isinstance(level, IndexedLatent) or not indexed
            bound = what == "surprise" and type(level.prior).surprise is not Prior.surprise
            if counts and (bound or type(level.prior).log_prob is not Prior.log_prob):
                total = total + getattr(level.prior.given(context), what)(part).reshape(len(part), -1).sum(1)
            context = {**context, ABOVE: level.code_from(part).value.flatten(1)}
        return total

    def parts(self, codes: Tensor) -> list[Tensor]:
        """[N, D], or indices [N, width], as those of each level."""
        parts = split_codes(codes, self._shapes)
        return [part.long() if isinstance(level, IndexedLatent) else part for level, part in zip(self._levels, parts, strict=True)]


class FittedLevels(LevelsPrior):
    """Levels of which some have priors that are fitted to codes."""

    def fit(self, codes: Iterable[Tensor]) -> None:
        """Each to its own level's."""
        for i, level in enumerate(self._levels):
            if type(level.prior).fit is not Prior.fit:
                level.prior.fit(_OfLevel(codes, self, i))


class _OfLevel:
    """Codes of one level, anew each time they are gone through."""

    def __init__(self, codes: Iterable[Tensor], prior: LevelsPrior, at: int) -> None:
        self._codes, self._prior, self._at = codes, prior, at

    def __iter__(self) -> Iterator[Tensor]:
        return (self._prior.parts(block)[self._at] for block in self._codes)
