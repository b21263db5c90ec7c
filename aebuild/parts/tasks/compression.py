"""What a compressed code costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.compared import all_compared
from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, Task, Trained, Unanswered

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Compression(Task):
    """Bits that the codes cost by their distribution, bits that an entropy coder writes, and how much comes back for them.

    The coder's are measured (with the extra `compression`): all codes together, without the header of a file. The distribution's are an
    estimate that no coder can beat on average.
    """

    type: Literal["compression"] = "compression"
    scalar = "limit"
    meanings: ClassVar[dict[str, str]] = {
        "estimated_bits": "bits of a sample by the learned distribution; lower is better",
        "coded_bits": "bits of a sample as the coder writes them; lower is better",
        "overhead": "what the coder needs more than the estimate, as a share of it; lower is better",
        "bits_per_value": "coded, else estimated, bits for each value of the data; lower is better",
        "mse": "squared error of one value of the data; lower is better",
        "zeros": "share of the code's values that are rounded to 0"}
    example: ClassVar[str] = """\
latent: {type: compressed, dim: 3}
losses: {rate: 0.1}
evaluate: {tasks: [compression: {limit: 3}]}
"""
    limit: int = knob(1_000, "samples that are coded, evenly spaced in the judged split", affects="evaluation", ge=1, le=100_000)

    def evaluate(self, trained: Trained) -> Answer:
        """One pass over the samples, and the coder's."""
        import numpy as np

        from aebuild.modules.entropy_models import EntropyModel

        if not isinstance(trained.model.latent.prior, EntropyModel):
            raise Unanswered("the code is not a compressed one, so no distribution says what it costs")
        some = trained.judged.thinned(min(self.limit, len(trained.judged)))
        codes, held = trained.codes(some), all_compared(trained, some)
        estimated, coded = _bits(trained.model.latent.prior, codes)
        figures = {"estimated_bits": estimated}
        if coded is not None:
            figures |= {"coded_bits": coded, "overhead": coded / estimated - 1}
        apart = np.square(held.target.astype(np.float64) - held.back)
        figures |= {"bits_per_value": (estimated if coded is None else coded) / float(held.counts.mean()),
                    "mse": float(apart.mean(where=held.real)),
                    "zeros": float((codes == 0).mean())}
        return Answer(figures, (), () if coded is not None else ("no coder: the package constriction is not installed",))


def _bits(prior: Any, codes: NDArray[Any]) -> tuple[float, float | None]:
    """Bits of a sample: estimated, and as written."""
    import math

    import torch

    from aebuild.metrics.entropy_coding import WORD, RangeWriter
    from aebuild.modules.entropy_models import settled

    model, code = settled(prior), torch.from_numpy(codes).double()
    with torch.no_grad():
        estimated = float(model.rate(code).mean()) / math.log(2)
    try:
        sink = RangeWriter()
    except ImportError:
        return estimated, None
    model.write(code, sink, model.reach(code))
    return estimated, WORD * len(sink.words) / len(code)
