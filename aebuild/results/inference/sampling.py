"""New samples: from the model's prior, or from one that is fitted to its codes afterwards and kept in the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError
from aebuild.lang.samples import silent
from aebuild.lang.values import Tokens
from aebuild.modules.randomness import derive, random_modules
from aebuild.results.inference.code_density import MOST, Frequencies, Mixture, density_of, fit_density
from aebuild.results.inference.codes import checked_codes, decode_batches, require
from aebuild.results.inference.fitted_arrays import read_fitted, write_fitted
from aebuild.results.inference.new_data import own_splits
from aebuild.results.inference.passes import Progress, encoded, unseen
from aebuild.trainer.batches.loader import batch_bounds
from aebuild.trainer.phase import reseed_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.results.trained_run import TrainedRun

BAD_PRIOR = Rule("AE574", "there is no such prior to draw from", """\
`sample` draws codes from the prior that the model was trained with, or with `--prior` from one that is fitted to the codes of the
training data: one `gaussian`, a `mixture` of so many Gaussians as fit best, or of a number that you give. Of discrete codes how often
each index is used at its place is `frequencies`.

```console
$ aebuild sample runs/ae --prior flow         # refused
$ aebuild sample runs/ae --prior mixture
$ aebuild sample runs/ae --prior 20           # twenty Gaussians
```
""")
FORMAT = "1"


def sample_batches(run: TrainedRun, count: int, *, prior: str = "own", seed: int = 0, say: Callable[[str], None] = silent,
                   progress: Progress = unseen, conditions: NDArray[np.float32] | None = None) -> Iterator[NDArray[Any]]:
    """So many new samples, in the model's units, batch by batch; the same ones for the same seed. `conditions` [count, F] are told."""
    require(run, "sample")
    if count < 1:
        raise ValueError(f"at least one sample is drawn, not {count}")
    if prior == "own":
        yield from _from_own(run, count, seed, progress, conditions)
        return
    codes = fitted_prior(run, prior, say).draw(count, derive(seed, "sample") % 2**32)
    if codes.dtype.kind == "f":                    # a mixture knows of no sphere on which codes lie
        codes = run.model.latent.settled(checked_codes(run, codes)).numpy()
    done = 0
    for batch in decode_batches(run, codes, conditions, derive(seed, "sample")):
        yield batch
        progress(done := done + len(batch), count)


@torch.no_grad()
def _from_own(run: TrainedRun, count: int, seed: int, progress: Progress, conditions: NDArray[np.float32] | None) -> Iterator[NDArray[Any]]:
    device = next(run.model.parameters()).device
    randoms = random_modules(run.model)
    for number, (start, stop) in enumerate(batch_bounds(count, 4 * run.plan.model_phase.batch_size)):
        reseed_all(randoms, derive(seed, "sample"), number)
        told = None if conditions is None else torch.from_numpy(conditions[start:stop]).to(device)
        yield run.model.sample(stop - start, told).cpu().numpy()
        progress(stop, count)


def fitted_prior(run: TrainedRun, name: str, say: Callable[[str], None] = silent) -> Mixture | Frequencies:
    """The prior of that name: the one that the run keeps, or a new one that it keeps from now on."""
    discrete = isinstance(run.plan.latent.codes, Tokens)
    known = ("frequencies",) if discrete else ("gaussian", "mixture")
    if name not in known and (discrete or not name.isdecimal() or not int(name)):
        told = " or ".join(known) + ("" if discrete else " or a number of Gaussians")
        raise UsageError(Diagnostic(BAD_PRIOR, f"--prior {name}: a {run.plan.spec.latent.variant_name()} code can have {told}"))
    kept = read_fitted(run, f"prior-{name}", FORMAT)
    if kept is not None:
        return density_of(kept[0]["kind"], kept[1])
    say(f"fitting the prior {name} to the codes of the training data, once for this run")
    training = own_splits(run, say).train
    training = training if len(training) <= MOST else training.thinned(MOST)
    codes = np.concatenate([(run.model.latent.codes_of(each.code) if discrete else each.value).cpu().numpy()
                            for each in encoded(run, training)])
    kind = run.plan.latent.codes
    made = fit_density(codes, kind.classes if isinstance(kind, Tokens) else None,
                       1 if name == "gaussian" else int(name) if name.isdecimal() else None)
    write_fitted(run, f"prior-{name}", FORMAT, made.arrays(), kind=made.kind)
    return made
