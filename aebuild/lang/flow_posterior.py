"""What posteriors share whose flows have networks of their own."""

from __future__ import annotations

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Posterior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value, elements

UNPAIRED = Rule("AE373", "a flow that couples the values of a code of one", """\
A coupling flow bends one half of the values by what the other half says. A code of one value at each place has no halves; a flow that
needs none is `planar` or `iaf`.

```yaml
latent: {type: gaussian, dim: 1, posterior: realnvp}
```
```yaml
latent: {type: gaussian, dim: 1, posterior: iaf}
```
""")


class NetworkFlows(Posterior):
    """A diagonal Gaussian through flows at each place, whose networks see numbers of the sample beside the values."""

    flows: int = knob(4, "flows, one after the other", affects="graph", ge=1, le=1000)
    width: int = knob(64, "hidden units of each flow's network", affects="graph", ge=1)
    context: int = knob(16, "numbers of the encoder at each place that every flow's network sees beside the values", affects="graph", ge=1)

    def features(self, dim: int) -> int:
        """Mean, log-variance and context."""
        return 2 * dim + self.context

    def weights_of_flow(self, dim: int) -> dict[str, tuple[int, ...]]:
        """Parameters of one flow by name."""
        raise TypeError(f"{type(self).__name__} has no flow")

    def options(self) -> dict[str, float]:
        """What else decides what a flow computes."""
        return {}

    def plan_posterior(self, code: Value, site: Site) -> Contribution:
        """The networks of all flows."""
        one = self.weights_of_flow(code.features)
        weights = {f"flows.{i}.{name}": shape for i in range(self.flows) for name, shape in one.items()}
        kind = f"{self.variant_name()} posterior"
        return Contribution(node=Node(site.path, kind, code, code, self, self.options(), aside=True, weights=weights))

    def macs_of_draw(self, code: Value) -> int:
        """Of all networks at all places."""
        one = sum(shape[0] * shape[1] for shape in self.weights_of_flow(code.features).values() if len(shape) == 2)
        return self.flows * one * (elements(code) // code.features)


class CouplingFlows(NetworkFlows):
    """Flows that bend one half of the values by what the other half says, in turn."""

    def numbers_of_value(self) -> int:
        """Numbers that bend one value."""
        raise TypeError(f"{type(self).__name__} has no numbers")

    def weights_of_flow(self, dim: int) -> dict[str, tuple[int, ...]]:
        """A network with one hidden layer."""
        outputs = self.numbers_of_value() * (dim - dim // 2)
        return {"net.0.weight": (self.width, dim // 2 + self.context), "net.0.bias": (self.width,),
                "net.2.weight": (outputs, self.width), "net.2.bias": (outputs,)}

    def plan_posterior(self, code: Value, site: Site) -> Contribution:
        """Two values or more."""
        if code.features < 2:
            message = f"{self.variant_name()} couples values, and the code has one at each place"
            site.refuse(self, UNPAIRED, message, "type", fix="posterior: iaf")
        return super().plan_posterior(code, site)
