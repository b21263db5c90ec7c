"""Missing values in front of decoders that read their own target."""

from __future__ import annotations

from aebuild.compile.plan import Plan
from aebuild.lang.dataset import Gapped
from aebuild.lang.diagnostics import Diagnostic, Rule

FED = Rule("AE838", "missing values that would be fed back", """\
With `missing: mask` a value that is missing is filled with the mean and left out of the loss. A decoder that reads its own target would
take these fillings for what came before, and the likelihood of the values behind them would be that of data which nobody measured.
With `missing: mean` the fillings are data like all others.

```yaml
data: {type: arrays, path: moves.npz, shape: [20, 6], missing: mask}
encoder: {layer: gru, width: 32}
decoder: [causal_transformer: {width: 32}]
losses: {reconstruction: {type: gaussian, variance: learned}}
```
```yaml
data: {type: arrays, path: moves.npz, shape: [20, 6], missing: mean}
```
""")


def check_gaps(plan: Plan) -> list[Diagnostic]:
    """An error where fillings of missing values would be read as the target."""
    data = plan.spec.data
    if not isinstance(data, Gapped) or data.missing != "mask":
        return []
    node = next((node for node in plan.decoder.walk() if node.kind == "autoregression"), None)
    if node is None:
        return []
    return [Diagnostic(FED, f"{node.part.variant_name()} reads the values before each place, and those that are missing are only filled",
                       data.place("missing"), "missing: mean", "data.missing")]
