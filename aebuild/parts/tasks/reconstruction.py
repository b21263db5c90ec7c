"""How well samples come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.compared import compared
from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, LinePlot, SampleRows, Table, Task, Trained, Unanswered
from aebuild.lang.terms import without_level
from aebuild.lang.values import Grid, Tokens
from aebuild.lang.values import Sequence as Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = 101            # points of the curve of errors
OF_WHOLE = ("ssim", "ms_ssim", "spectral_distance")      # figures of samples all of whose places count
JUDGED, WHOLE, NATS = "judged", "whole", "nats"          # how many values of each sample count, whether all do, what its code costs


class Reconstruction(Task):
    """Errors sample by sample, the worst and the best of them, and what the code costs for it.

    The usual evaluation has the means beside PCA's; this adds structural similarity of images (Wang et al., 2004, 2003), the distance of
    spectra of series, the share of right tokens, and the rate: the bits of the code against the distortion in nats.
    """

    type: Literal["reconstruction"] = "reconstruction"
    scalar = "shown"
    scales: ClassVar[dict[str, str]] = {"surprise": "reconstruction", "mse": "MSE per element", "worst_mse": "MSE per element"}
    meanings: ClassVar[dict[str, str]] = {
        "surprise": "nats, or the error, of a sample under the likelihood; lower is better",
        "mse": "squared error of one value; lower is better",
        "worst_mse": "that of the worst sample; lower is better",
        "psnr": "dB, mean over samples; higher is better",
        "ssim": "structural similarity, at most 1; higher is better",
        "ms_ssim": "structural similarity over five scales, at most 1; higher is better",
        "spectral_distance": "dB between power spectra; lower is better",
        "token_accuracy": "share of tokens that are right; higher is better",
        "whole_accuracy": "share of samples all of whose tokens are right; higher is better",
        "rate": "bits that the code of a sample costs: its KL, its rate, or its size; lower is better"}
    example: ClassVar[str] = """\
latent: {type: continuous, dim: 4}
evaluate: {tasks: [reconstruction: {shown: 3}]}
"""
    shown: int = knob(8, "worst and best samples that are shown, each", affects="evaluation", ge=1, le=64)

    def evaluate(self, trained: Trained) -> Answer:
        """One pass over the judged split, then one over the samples that are shown."""
        import numpy as np

        found: dict[str, list[NDArray[Any]]] = {}
        for outputs in trained.passes(trained.judged):
            for name, values in _of_batch(trained, outputs).items():
                found.setdefault(name, []).append(values)
        each = {name: np.concatenate(parts) for name, parts in found.items()}
        judged, whole, nats = each.pop(JUDGED), each.pop(WHOLE) > 0, each.pop(NATS)
        if not judged.any():
            raise Unanswered("no value of these samples is known, so none can be compared with what comes back")
        figures = {name: mean for name, values in each.items() if (mean := _mean(name, values, judged, whole)) is not None}
        by = each.get("mse", each["surprise"])
        if "mse" in each:
            figures["worst_mse"] = float(by[judged > 0].max())
        figures["rate"] = _rate(trained, nats)
        order = np.flatnonzero(judged)
        order = order[np.argsort(by[order], kind="stable")]
        worst, best = order[::-1][:self.shown], order[:self.shown]
        columns = ("sample", *each)
        rows = tuple((int(row), *(float(values[row]) for values in each.values())) for row in worst)
        pictures = (SampleRows(title, self._shown(trained, index)) for title, index in (("worst samples", worst), ("best samples", best)))
        curve = _curve(trained.plan.spec.name, by[order], "squared error" if "mse" in each else "surprise")
        return Answer(figures, (*pictures, Table("worst samples", columns, rows), *curve), tuple(_notes(each, judged, whole)))

    def _shown(self, trained: Trained, index: NDArray[Any]) -> dict[str, NDArray[Any]]:
        some = trained.judged.taken(index)
        return {"originals": some.x if some.target is None else some.target, "reconstructions": trained.reconstructions(some)}


def _of_batch(trained: Trained, outputs: Any) -> dict[str, NDArray[Any]]:
    """The figures of each sample of a batch; NaN where it has none."""
    import numpy as np

    from aebuild.metrics import reconstruction as measures

    model, term, held = trained.model, trained.plan.term("reconstruction"), compared(trained, outputs)
    costs = _costs(trained)
    terms = model.losses(outputs, ["reconstruction", *costs])
    raw = terms["reconstruction"]
    target, back, real, counts = held.target, held.back, held.real, held.counts
    whole = counts == real[0].size
    nats = sum((terms[name].detach().reshape(len(target), -1).sum(1).double().cpu().numpy() for name in costs), np.zeros(len(target)))
    surprise = term.config.by_sample(raw, term.elements).detach().double().cpu().numpy()
    found = {JUDGED: counts, WHOLE: whole, NATS: nats, "surprise": surprise}
    if isinstance(trained.plan.target, Tokens):
        right = (target == back) | ~real
        return found | {"token_accuracy": 1 - (~right).reshape(len(target), -1).sum(1) / np.maximum(counts, 1),
                        "whole_accuracy": right.reshape(len(target), -1).all(1).astype(np.float64)}
    apart = np.where(real, np.square(target.astype(np.float64) - back), 0.0).reshape(len(target), -1)
    found["mse"] = apart.sum(1) / np.maximum(counts, 1)
    bounds = trained.plan.bounds
    extent = None if bounds.low is None or bounds.high is None else float(bounds.high - bounds.low)
    if extent is not None:
        found["psnr"] = measures.psnr(found["mse"], extent)
    match trained.plan.target:
        case Grid(size=(height, width)) if extent is not None and min(height, width) >= measures.WINDOW:
            found["ssim"] = np.where(whole, measures.ssim(target, back, extent), np.nan)
            if min(height, width) >= measures.WINDOW * 2 ** (len(measures.SCALES) - 1):
                found["ms_ssim"] = np.where(whole, measures.ms_ssim(target, back, extent), np.nan)
        case Series(length=length) if length > 1:
            found["spectral_distance"] = np.where(whole, measures.log_spectral_distance(target, back), np.nan)
        case Grid(size=(length,)) if length > 1:
            apart = measures.log_spectral_distance(target.transpose(0, 2, 1), back.transpose(0, 2, 1))
            found["spectral_distance"] = np.where(whole, apart, np.nan)
    return found


def _mean(name: str, values: NDArray[Any], judged: NDArray[Any], whole: NDArray[Any]) -> float | None:
    """Over the samples that have the figure, of errors over their values: NaN where one of these is no number; None where none has it."""
    import numpy as np

    if name in ("mse", "token_accuracy"):
        return float(np.average(values, weights=judged))
    there = values[whole if name in OF_WHOLE else (judged > 0) & (values != np.inf) if name == "psnr" else judged > 0]
    return float(there.mean()) if len(there) else None


def _curve(name: str, errors: NDArray[Any], what: str) -> Iterator[LinePlot]:
    """The errors from the smallest on, of those that are numbers."""
    import numpy as np

    sound, shares = errors[np.isfinite(errors)], np.linspace(0, 1, LEVELS)
    if len(sound):
        yield LinePlot("errors of the samples", "share of the samples", what, {name: (shares, np.quantile(sound, shares))})


def _costs(trained: Trained) -> list[str]:
    """The terms that say what a code costs, of each level: its KL, or its rate."""
    return [term.name for term in trained.plan.terms if without_level(term.name) in ("kl", "rate")]


def _rate(trained: Trained, nats: NDArray[Any]) -> float:
    """The code's bits: what such terms say, [n], and the size of what none of them tells of."""
    from aebuild.metrics.reconstruction import bits

    names, latent = _costs(trained), trained.model.latent
    if not names:
        return float(trained.plan.latent.bits)
    told = {name.rpartition("_")[2] for name in names}
    return bits(float(nats.mean())) + sum(_size(level, shape) for place, (level, shape) in enumerate(
        zip(getattr(latent, "levels", ()), getattr(latent, "shapes", ()), strict=True)) if str(place) not in told)


def _size(level: Any, shape: Sequence[int]) -> float:
    """Bits of one level of a code: of its indices, else of its numbers."""
    from math import log2, prod

    books = getattr(level, "book_sizes", None)
    return sum(map(log2, books)) * level.width / len(books) if books else 32.0 * prod(shape)


def _notes(each: dict[str, NDArray[Any]], judged: NDArray[Any], whole: NDArray[Any]) -> Iterator[str]:
    """What the means leave out."""
    import numpy as np

    if not judged.all():
        yield f"{int((judged == 0).sum()):,} samples have no value that is known: they are left out"
    perfect = int((each["psnr"][judged > 0] == np.inf).sum()) if "psnr" in each else 0
    if perfect:
        yield f"{perfect:,} samples come back without error: they have no PSNR and are left out of its mean"
    compared = ", ".join(name for name in OF_WHOLE if name in each)
    if compared and not whole.all():
        yield f"{int((~whole).sum()):,} of the {len(whole):,} samples have places that do not count: they have no {compared}"
    broken = int((~np.isfinite(each["surprise"])).sum())
    if broken:
        yield f"the surprise of {broken:,} samples is no finite number"
