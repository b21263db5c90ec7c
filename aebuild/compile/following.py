"""Posteriors that follow the likelihood of a sample while it is encoded, and where there is none to follow."""

from __future__ import annotations

from aebuild.compile.spec import Spec
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Latent, Posterior

UNLED = Rule("AE846", "a posterior that follows the likelihood, where there is none to follow", """\
Draws of a `hamiltonian` posterior are led by the slope of log p(x, z), so encoding a sample runs the decoder and judges its
reconstruction. The sample must be its own target, as it is; the code must be the only one, since a level alone determines no data; and
the whole decoder must be there, which greedy training has only at its end.

```yaml
latent: {type: gaussian, dim: 3, posterior: hamiltonian}
corrupt: [mask: 0.3]
```
```yaml
latent: {type: gaussian, dim: 3, posterior: hamiltonian}
```
""")


def check_following(spec: Spec, info: DataInfo, found: list[Diagnostic]) -> None:
    """An error where a posterior that follows the likelihood has none to follow."""
    posterior = next((part for part in spec.latent.parts() if isinstance(part, Posterior) and part.follows), None)
    reason = None if posterior is None else _unled(spec, info)
    if posterior is not None and reason is not None:
        found.append(Diagnostic(UNLED, f"{posterior.variant_name()} follows the likelihood of each sample, but {reason}",
                                posterior.place("type"), Hint("posterior: diagonal"), "latent"))


def _unled(spec: Spec, info: DataInfo) -> str | None:
    if any(isinstance(part, Latent) for part in spec.latent.parts()):
        return "a level of a code alone determines no data"
    if spec.corrupt:
        return "`corrupt` hides from the encoder what the likelihood judges"
    if info.value != info.target:
        return f"it encodes {info.value} and judges {info.target}"
    if any(phase.variant_name() == "greedy" for phase in spec.train.phases):
        return "greedy training has no decoder of the whole model"
    return None
