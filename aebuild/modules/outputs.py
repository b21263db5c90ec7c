"""One batch, and the record of one forward pass that every loss reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from torch import Tensor

from aebuild.modules.code import Code


@dataclass
class Batch:
    """One batch, rows first: what is encoded, what is to be reproduced, and what else the data know of each sample.

    `labels` are class numbers, -1 where unknown; `conditions` what encoder and decoder may read; `mask` which elements of the
    target count; `lengths` how many places of a sequence are real; `weights` how much a sample counts; `ids` its number; `answers` what
    heads predict of columns.
    """

    x: Tensor
    target: Tensor
    labels: Tensor | None = None
    conditions: Tensor | None = None
    mask: Tensor | None = None
    lengths: Tensor | None = None
    weights: Tensor | None = None
    ids: Tensor | None = None
    answers: Tensor | None = None

    def rows(self, start: int, stop: int) -> Batch:
        """Some of its samples."""
        x = self.x[start:stop]
        others = {each.name: value[start:stop] for each in fields(self) if each.name not in ("x", "target")
                  and (value := getattr(self, each.name)) is not None}
        return Batch(x, x if self.target is self.x else self.target[start:stop], **others)

    def context(self) -> dict[str, Any]:
        """What of it the modules may read while the batch passes."""
        known = {name: getattr(self, name) for name in ("target", "conditions", "mask", "lengths")}
        return {name: value for name, value in known.items() if value is not None}


@dataclass
class Outputs:
    """One forward pass.

    `features` are the encoder's output, `params` the decoder's, which are the likelihood's parameters, `context` what modules
    left for others on the way. With `draws` codes for each sample there are so many rows one after the other in `code` and
    `params`. `terms` are raw loss terms that are there already, `metrics` scalars to log, detached. `view` encodes the batch
    anew, from another draw of what corrupts it. `encode`, `parameters_of` and `judge` are the model's own functions, for losses that want
    their gradients or other codes: samples [N, ...] to their Code, a code for each row of `params` to such parameters, a pass to its raw
    reconstruction term; `decoder` gives the decoder's weights, `draw` codes of the prior. `again` gives `params` once more, with a
    gradient to the decoder alone.
    """

    batch: Batch
    code: Code
    features: Tensor | None = None
    params: Tensor | None = None
    context: dict[str, Any] = field(default_factory=dict)
    draws: int = 1
    mean: Callable[[Tensor], Tensor] | None = None
    view: Callable[[], Code] | None = None
    encode: Callable[[Tensor], Code] | None = None
    parameters_of: Callable[[Tensor], Tensor] | None = None
    judge: Callable[[Outputs], Tensor] | None = None
    decoder: Callable[[], Iterable[Tensor]] | None = None
    draw: Callable[[int], Tensor] | None = None
    again: Callable[[], Tensor] | None = None
    terms: dict[str, Tensor] = field(default_factory=dict)
    metrics: dict[str, Tensor] = field(default_factory=dict)

    @property
    def target(self) -> Tensor:
        """What is to be reproduced, a row for each row of `params`."""
        return repeated_rows(self.batch.target, self.draws)

    @property
    def lengths(self) -> Tensor | None:
        """How many places of each sample are real, a row for each row of `params`; None where all are."""
        return None if self.batch.lengths is None else repeated_rows(self.batch.lengths, self.draws)

    @property
    def mask(self) -> Tensor | None:
        """Which elements of the target count, [N, ...] for each row of `params`; None where all do."""
        return None if self.batch.mask is None else repeated_rows(self.batch.mask, self.draws)

    @property
    def hidden(self) -> Tensor:
        """Which elements of the target were hidden from the encoder, as something that spreads over it, for each row of `params`."""
        masked: Tensor = self.context["masked"]
        return masked

    @property
    def labels(self) -> Tensor | None:
        """Class numbers, -1 where unknown, a row for each row of the code."""
        return None if self.batch.labels is None else repeated_rows(self.batch.labels, self.draws)

    @property
    def reconstruction(self) -> Tensor:
        """The expected data."""
        assert self.params is not None, "nothing was decoded in this pass"
        return self.mean_of(self.params)

    def mean_of(self, params: Tensor) -> Tensor:
        """The expected data of other parameters."""
        assert self.mean is not None, "nothing was decoded in this pass"
        return self.mean(params)

    def drawn(self) -> Tensor:
        """Codes drawn from the prior, a row for each row of the code."""
        assert self.draw is not None, "nothing was encoded in this pass"
        return self.draw(len(self.code.value))

    def decoded(self, value: Tensor) -> Tensor:
        """The expected data of other codes than this pass's."""
        assert self.parameters_of is not None, "nothing was decoded in this pass"
        return self.mean_of(self.parameters_of(value))

    def judged(self, value: Tensor) -> Tensor:
        """The raw reconstruction term of other codes than this pass's."""
        assert self.judge is not None and self.parameters_of is not None, "nothing was decoded in this pass"
        return self.judge(replace(self, params=self.parameters_of(value), metrics={}))

    def decoded_alone(self) -> Outputs:
        """The same pass, but that a gradient reaches no weights other than the decoder's and the likelihood's."""
        assert self.again is not None, "no draws were decoded in this pass"
        return replace(self.detached(), params=self.again())

    def another_view(self) -> Code:
        """The code of another draw of what corrupts the batch; one for all who ask."""
        assert self.view is not None, "nothing was encoded in this pass"
        if "view" not in self.context:
            self.context["view"] = self.view()
        code: Code = self.context["view"]
        return code

    def detached(self) -> Outputs:
        """The same numbers without a gradient, for those who only look at them; terms and metrics belong to who made the pass."""
        code = replace(self.code, value=self.code.value.detach(), terms={}, metrics={}, posterior=None)
        return replace(self, code=code, features=cut(self.features), params=cut(self.params), terms={}, metrics={},
                       context={key: cut(value) for key, value in self.context.items() if key != "view"})


def cut(value: Any) -> Any:
    """The same without a gradient, if it is a tensor."""
    return value.detach() if isinstance(value, Tensor) else value


def repeated_rows(x: Tensor, draws: int) -> Tensor:
    """[N, ...] with each row `draws` times, [N·draws, ...]."""
    return x if draws == 1 else x.repeat_interleave(draws, 0)
