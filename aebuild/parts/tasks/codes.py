"""What the codes are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, LinePlot, Table, Task, Trained, Unanswered
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNITS = 2_048            # of the largest code whose covariance is looked at
FULL = 0.9               # of the most that an estimate of information can be, above which it says little


class Codes(Task):
    """How units or entries are used, how they depend on each other, and what a code costs.

    Of continuous codes, the posterior's means of a variational one: units that vary (Burda et al., 2015), the number of directions that
    matter, and the total correlation (Watanabe, 1960) of Gaussians with their covariance. Of a variational code the KL is parted into what
    it tells of the sample and how far all codes together are from the prior (Hoffman and Johnson, 2016). Of discrete codes: which entries
    are used how often, and the bits that a coder needs which knows how often training data use each entry at each place.
    """

    type: Literal["codes"] = "codes"
    scalar = "limit"
    meanings: ClassVar[dict[str, str]] = {
        "active_units": "values of the code that vary over the data; higher is better",
        "dead_units": "values of the code that do not; lower is better",
        "effective_dimension": "directions that the codes vary in, weighed by how much; higher is better",
        "total_correlation": "nats that the units know of each other if they are Gaussian, 0 if independent; lower is better",
        "mutual_information": "nats that a code tells of its sample; higher is better",
        "aggregate_kl": "nats between all codes together and the prior; lower is better",
        "usage": "share of the entries that are used; higher is better",
        "dead_entries": "entries of all codebooks that no sample uses; lower is better",
        "perplexity": "exp of the entropy of how entries are used, at most their number; higher is better",
        "entropy": "bits of one index by how often entries are used; higher is better",
        "coded_bits": "bits of a sample's code for an entropy coder with the training data's frequencies; lower is better",
        "lzma_bits": "bits of a sample's code as LZMA2 writes them, an upper bound; lower is better",
        "code_bits": "bits of a sample's code as plain indices; lower is better"}
    example: ClassVar[str] = """\
data: {type: digits, limit: 200}
latent: {type: gaussian, dim: 3}
losses: {reconstruction: bernoulli}
evaluate: {tasks: [codes: {limit: 16, threshold: 0.05}]}
---
data: {type: digits, limit: 200}
latent: {type: codebook, codes: 6, dim: 2}
evaluate: {tasks: [codes]}
"""
    limit: int = knob(10_000, "samples whose codes are looked at, evenly spaced in the judged split, and of the training data",
                      affects="evaluation", ge=8, le=100_000)
    threshold: float = knob(0.01, "variance of a value over the data above which it counts as active", affects="evaluation", gt=0)

    def evaluate(self, trained: Trained) -> Answer:
        """One pass over the judged samples, and of a discrete code one over training samples."""
        if isinstance(trained.plan.latent.codes, Tokens):
            return self._of_entries(trained)
        return self._of_units(trained)

    def _of_entries(self, trained: Trained) -> Answer:
        import numpy as np
        import torch

        from aebuild.metrics import code_statistics as measures

        train, judged = trained.splits.train, trained.judged
        codes = trained.plan.latent.codes.classes
        indices, known = (trained.codes(split.thinned(min(self.limit, len(split)))).reshape(-1, trained.model.latent.width)
                          for split in (judged, train))
        latent = trained.model.latent
        books = zip(latent.by_book(torch.from_numpy(indices)), latent.book_sizes, strict=True)
        counts = [np.bincount(book.numpy(), minlength=size) for book, size in books]
        entropies = [measures.entropy_bits(book) for book in counts]
        figures = {"usage": float(np.mean([(book > 0).mean() for book in counts])),
                   "dead_entries": float(sum((book == 0).sum() for book in counts)),
                   "perplexity": float(np.mean([2**bits for bits in entropies])), "entropy": float(np.mean(entropies)),
                   "coded_bits": measures.coded_bits(known, indices, codes), "lzma_bits": measures.lzma_bits(indices, codes),
                   "code_bits": float(trained.plan.latent.bits)}
        shares = [np.sort(book / book.sum())[::-1] for book in counts]
        lines = {f"codebook {number}" if len(shares) > 1 else "entries": (np.arange(1.0, len(share) + 1), share)
                 for number, share in enumerate(shares, 1)}
        return Answer(figures, (LinePlot("use of the entries", "entry, the most used first", "share", lines),))

    def _of_units(self, trained: Trained) -> Answer:
        import numpy as np

        from aebuild.metrics import code_statistics as measures

        some = trained.judged.thinned(min(self.limit, len(trained.judged)))
        if len(some) < 2:
            raise Unanswered("codes of one sample do not vary")
        codes = trained.codes(some).reshape(len(some), -1).astype(np.float64)
        if not np.isfinite(codes).all():
            raise Unanswered("some codes have values that are no numbers")
        variance = codes.var(0, ddof=1)
        active = variance > self.threshold
        figures = {"active_units": float(active.sum()), "dead_units": float((~active).sum())}
        notes: list[str] = []
        if not variance.any():
            notes.append("all codes are the same: the model has collapsed")
        elif codes.shape[1] > UNITS:
            notes.append(f"a code of {codes.shape[1]:,} values is too large to look at how they depend on each other")
        else:
            figures["effective_dimension"] = measures.effective_dimension(codes)
            figures |= _correlation(codes[:, active], notes)
        figures |= _information(trained, some, notes)
        order = np.argsort(-variance, kind="stable")
        line = {trained.plan.spec.name: (np.arange(1.0, len(order) + 1), variance[order])}
        rows = tuple((int(unit), float(codes[:, unit].mean()), float(variance[unit])) for unit in order[:20])
        return Answer(figures, (LinePlot("variance of the units", "unit, the most varying first", "variance", line),
                                Table("units that vary most", ("unit", "mean", "variance"), rows)), tuple(notes))



def _correlation(codes: NDArray[Any], notes: list[str]) -> dict[str, float]:
    """The total correlation of active units, if it can be had."""
    import math

    from aebuild.metrics.code_statistics import total_correlation

    if codes.shape[1] < 2:
        return {}
    found = total_correlation(codes)
    if math.isfinite(found):
        return {"total_correlation": found}
    notes.append(f"no total correlation: in {len(codes):,} codes some of the {codes.shape[1]:,} active units are sums of others")
    return {}


def _information(trained: Trained, some: Any, notes: list[str]) -> dict[str, float]:
    """The two parts of the KL of a variational code, where its posteriors are Gaussians with independent units."""
    import math

    import numpy as np

    from aebuild.metrics.code_statistics import mixture_information
    from aebuild.modules.posteriors import DiagonalGaussian

    held: dict[str, list[NDArray[Any]]] = {}
    for draws, posterior, divergence in _posteriors(trained, some):
        if not isinstance(posterior, DiagonalGaussian):
            notes.append("the posteriors are no independent Gaussians, so the KL is not parted")
            return {}
        for name, tensor in (("draws", draws), ("means", posterior.mean), ("widths", posterior.log_variance), ("kl", divergence)):
            held.setdefault(name, []).append(tensor.double().cpu().numpy().reshape(len(draws), -1))
    if not held:
        return {}
    whole = {name: np.concatenate(parts) for name, parts in held.items()}
    found = mixture_information(whole["draws"], whole["means"], whole["widths"])
    if found > FULL * math.log(len(some)):
        notes.append(f"{len(some):,} samples cannot show more than {math.log(len(some)):.1f} nats, so mutual_information is a lower bound, "
                     "and there is no aggregate_kl")
        return {"mutual_information": found}
    return {"mutual_information": found, "aggregate_kl": float(whole["kl"].sum(1).mean()) - found}


def _posteriors(trained: Trained, some: Any) -> Iterator[tuple[Any, Any, Any]]:
    """A draw of each posterior of a batch, the posteriors, and their KL to the prior; nothing of other codes."""
    for outputs in trained.passes(some):
        if outputs.code.posterior is None:
            return
        yield outputs.code.value, outputs.code.posterior, outputs.code.terms.get("kl")
