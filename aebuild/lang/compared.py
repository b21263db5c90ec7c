"""What comes back of a batch beside what should, and which of it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.tasks import Trained


@dataclass(frozen=True, eq=False)
class Compared:
    """Targets and reconstructions [n, ...], and which elements are judged: neither padding nor holes, of a masked loss what was hidden."""

    target: NDArray[Any]
    back: NDArray[Any]
    real: NDArray[Any]

    @property
    def counts(self) -> NDArray[Any]:
        """How many elements of each sample are judged, [n]."""
        found: NDArray[Any] = self.real.reshape(len(self.real), -1).sum(1)
        return found


def compared(trained: Trained, outputs: Any) -> Compared:
    """Of a pass with one code a sample."""
    import numpy as np

    target = outputs.target
    counts = trained.model.likelihood.counts(outputs)
    real = np.ones(tuple(target.shape), bool) if counts is None else counts.expand_as(target).cpu().numpy()
    return Compared(target.cpu().numpy(), outputs.reconstruction.detach().cpu().numpy(), real)


def all_compared(trained: Trained, split: Any) -> Compared:
    """Of a whole split."""
    import numpy as np

    found = [compared(trained, outputs) for outputs in trained.passes(split)]
    return Compared(*(np.concatenate([getattr(each, name) for each in found]) for name in ("target", "back", "real")))
