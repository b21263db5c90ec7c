"""How long a model takes for a batch of one, measured here and now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from aebuild.compile.budget import over, shown
from aebuild.compile.build import build
from aebuild.compile.plan import Plan
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.values import Tokens
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules
from aebuild.results.export.formats import milliseconds
from aebuild.trainer.device import choose_device, describe_device
from aebuild.trainer.phase import reseed_all

SLOW = Rule("AE842", "a model slower than its budget", """\
`latency` in a budget is the time of a batch of one, in the plain model in float32. `aebuild validate --measure` builds the model with
fresh weights, runs encoder, decoder and the whole on the device of `train.device`, and compares the median times. They hold for this
machine alone: measure on one like that where the model will run, with nothing else running.

```console
$ aebuild validate small.yaml --measure                                        # 3.1 ms, the budget is 2 ms
$ aebuild validate small.yaml --measure --set encoder.width=32                 # 1.2 ms
```
""")


def latency_of(plan: Plan) -> tuple[dict[str, float], str]:
    """Microseconds of encoder, decoder and model for one sample of noise, each the median of many runs, and the device in words."""
    device = choose_device(plan.spec.train.device)
    model = build(plan).to(device).eval()
    reseed_all(random_modules(model), plan.spec.train.seed, 0)
    value = plan.input
    shape = (1, *value.shape)
    x = torch.zeros(shape, dtype=torch.long, device=device) if isinstance(value, Tokens) else torch.rand(shape, device=device)
    told = torch.zeros(1, plan.conditions, device=device) if plan.conditions else None
    with torch.inference_mode():
        outputs = model.run(Batch(x, x, None, told))

    def waited(call: Callable[[], Any]) -> Callable[..., Any]:
        def run() -> None:
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
        return run

    calls = {"encoder": lambda: model.encode(x, conditions=told),
             "decoder": lambda: model.decode(outputs.code.value, dict(outputs.context)),
             "model": lambda: model.reconstruct(x, conditions=told)}
    return {name: 1000 * milliseconds(waited(call), ()) for name, call in calls.items()}, describe_device(device)


def check_latency(plan: Plan) -> tuple[list[Diagnostic], str]:
    """An error for each half slower than its budget, and a sentence with all that was measured."""
    times, device = latency_of(plan)
    budget = plan.spec.budget
    found = [over(plan, name, "latency", times[name], SLOW) for name, limits in (budget.halves() if budget is not None else ())
             if times[name] > limits.numbers().get("latency", float("inf"))]
    told = ", ".join(f"{name} {shown(time, 'latency')}" for name, time in times.items())
    return found, f"{plan.spec.name}: a batch of one takes {told} on {device}"
