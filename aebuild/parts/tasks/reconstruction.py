"""How well samples come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, LinePlot, SampleRows, Table, Task, Trained
from aebuild.lang.terms import without_level
from aebuild.lang.values import Grid, Sequence, Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = 101            # points of the curve of errors


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
        figures = {name: float(values[np.isfinite(values)].mean()) for name, values in each.items() if np.isfinite(values).any()}
        by = each.get("mse", each["surprise"])
        if "mse" in each:
            figures["worst_mse"] = float(by.max())
        figures["rate"] = _rate(trained)
        order = np.argsort(by, kind="stable")
        worst, best = order[::-1][:self.shown], order[:self.shown]
        columns = ("sample", *each)
        rows = tuple((int(row), *(float(values[row]) for values in each.values())) for row in worst)
        shares = np.linspace(0, 1, LEVELS)
        curve = {trained.plan.spec.name: (shares, np.quantile(by, shares))}
        pictures = (SampleRows(title, self._shown(trained, index)) for title, index in (("worst samples", worst), ("best samples", best)))
        return Answer(figures, (*pictures, Table("worst samples", columns, rows),
                                LinePlot("errors of the samples", "share of the samples", "squared error" if "mse" in each else "surprise",
                                         curve)), _notes(each))

    def _shown(self, trained: Trained, index: NDArray[Any]) -> dict[str, NDArray[Any]]:
        some = trained.judged.taken(index)
        return {"originals": some.x if some.target is None else some.target, "reconstructions": trained.reconstructions(some)}


def _of_batch(trained: Trained, outputs: Any) -> dict[str, NDArray[Any]]:
    """The figures of each sample of a batch."""
    import numpy as np

    from aebuild.metrics import reconstruction as measures

    model, term = trained.model, trained.plan.term("reconstruction")
    raw = model.losses(outputs, ["reconstruction"])["reconstruction"]
    found = {"surprise": term.config.by_sample(raw, term.elements).detach().double().cpu().numpy()}
    target, back = outputs.target.cpu().numpy(), outputs.reconstruction.detach().cpu().numpy()
    real = _real(outputs, target)
    if isinstance(trained.plan.target, Tokens):
        right = (target == back) | ~real
        counts = real.reshape(len(target), -1).sum(1)
        return found | {"token_accuracy": 1 - (~right).reshape(len(target), -1).sum(1) / np.maximum(counts, 1),
                        "whole_accuracy": right.reshape(len(target), -1).all(1).astype(np.float64)}
    apart = np.where(real, np.square(target.astype(np.float64) - back), 0.0).reshape(len(target), -1)
    found["mse"] = apart.sum(1) / np.maximum(real.reshape(len(target), -1).sum(1), 1)
    bounds = trained.plan.bounds
    extent = None if bounds.low is None or bounds.high is None else float(bounds.high - bounds.low)
    if extent is not None:
        found["psnr"] = measures.psnr(found["mse"], extent)
    match trained.plan.target:
        case Grid(size=(height, width)) if extent is not None and min(height, width) >= measures.WINDOW:
            found["ssim"] = measures.ssim(target, back, extent)
            if min(height, width) >= measures.WINDOW * 2 ** (len(measures.SCALES) - 1):
                found["ms_ssim"] = measures.ms_ssim(target, back, extent)
        case Sequence(length=length) if length > 1 and real.all():
            found["spectral_distance"] = measures.log_spectral_distance(target, back)
        case Grid(size=(length,)) if length > 1 and real.all():
            found["spectral_distance"] = measures.log_spectral_distance(target.transpose(0, 2, 1), back.transpose(0, 2, 1))
    return found


def _real(outputs: Any, target: NDArray[Any]) -> NDArray[Any]:
    """Which elements count, of the target's shape."""
    import numpy as np

    from aebuild.modules.likelihoods import counted

    counts = counted(outputs.target, outputs.lengths, outputs.mask)
    return np.ones(target.shape, bool) if counts is None else counts.expand_as(outputs.target).cpu().numpy()


def _rate(trained: Trained) -> float:
    """The code's bits: the KL of a variational one, the rate of a compressed one, else its size."""
    import numpy as np

    from aebuild.metrics.reconstruction import bits

    names = [term.name for term in trained.plan.terms if without_level(term.name) in ("kl", "rate")]
    terms = trained.terms(trained.judged) if names else {}
    return bits(float(sum(np.mean(terms[name]) for name in names))) if names else float(trained.plan.latent.bits)


def _notes(each: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    import numpy as np

    perfect = int((~np.isfinite(each["psnr"])).sum()) if "psnr" in each else 0
    return (f"{perfect:,} samples come back without error: they have no PSNR and are left out of its mean",) if perfect else ()
