"""Generated layers of encoders, decoders and small networks, in every spelling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aebuild.lang.values import Grid, Sequence, Vector
from generation.choosing import Chooser, share
from generation.oracle import RECURRENT, Impossible, Step, Walk, behind

ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus", "mish", "hardswish",
               "prelu", "snake")
Propose = Callable[[Chooser, Walk], Step]


def activation(choose: Chooser) -> Any:
    name = choose.pick(ACTIVATIONS)
    if name == "leaky_relu" and choose.chance(50):
        return {"type": name, "negative_slope": share(choose)}
    if name == "elu" and choose.chance(50):
        return {"type": name, "alpha": share(choose, 0.5, 2)}
    return name


def norm(choose: Chooser) -> Any:
    name = choose.pick(("layer", "batch", "group", "rms"))
    if name == "group":
        return {"type": "group", "groups": choose.pick((1, 2))}
    if name == "batch" and choose.chance(30):
        return {"type": "batch", "momentum": share(choose)}
    return name


def dressed(choose: Chooser, step: Step) -> Step:
    """The step, perhaps with a norm and another activation."""
    if choose.chance(30):
        step["norm"] = norm(choose)
        if step["norm"] != "batch":
            step["width"] = -(-step["width"] // 4) * 4        # so that groups divide it and none is a single number
    if choose.chance(40):
        step["activation"] = choose.pick(("none", activation(choose)))
    return step


def width(choose: Chooser) -> int:
    return choose.pick((2, 4, 3, 6, 8, 1))


def size(choose: Chooser, rank: int, low: int, high: int) -> Any:
    """One number for all axes, or one for each."""
    if rank and choose.chance(25):
        return [choose.whole(low, high) for _ in range(rank)]
    return choose.whole(low, high)


def linear(choose: Chooser, walk: Walk) -> Step:
    return dressed(choose, {"type": "linear", "width": width(choose)})


def conv(choose: Chooser, walk: Walk) -> Step:
    rank = len(walk.value.places)
    step: Step = {"type": "conv", "width": width(choose)}
    if choose.chance(50):
        step["kernel"] = size(choose, rank, 1, 5)
    if choose.chance(50):
        step["stride"] = size(choose, rank, 1, 3)
    if choose.chance(20):
        step["dilation"] = size(choose, rank, 1, 2)
    if choose.chance(20):
        step["padding"] = size(choose, rank, 0, 1)
    if choose.chance(15):
        step |= {"groups": 2, "width": choose.pick((2, 4))}
    if choose.chance(15):
        step["weights"] = choose.pick(("weight_norm", "spectral_norm"))
    return dressed(choose, step)


def separable_conv(choose: Chooser, walk: Walk) -> Step:
    step: Step = {"type": "separable_conv", "width": width(choose), "kernel": size(choose, len(walk.value.places), 1, 4)}
    if choose.chance(50):
        step["stride"] = size(choose, len(walk.value.places), 1, 3)
    return dressed(choose, step)


def inverted_residual(choose: Chooser, walk: Walk) -> Step:
    step: Step = {"type": "inverted_residual", "width": width(choose), "expand": choose.whole(1, 2)}
    if choose.chance(50):
        step["stride"] = choose.whole(1, 2)
    if choose.chance(40):
        step["squeeze"] = choose.whole(1, 3)
    return step


def convnext(choose: Chooser, walk: Walk) -> Step:
    step: Step = {"type": "convnext", "width": choose.pick((2, 4)), "kernel": choose.pick((1, 3, 5)), "layer_scale": 0.5}
    if choose.chance(50):
        step["stride"] = size(choose, len(walk.value.places), 1, 2)
    return step


def blur_pool(choose: Chooser, walk: Walk) -> Step:
    return {"type": "blur_pool", "size": size(choose, len(walk.value.places), 1, 3), "kernel": choose.whole(1, 4)}


def coordinates(choose: Chooser, walk: Walk) -> Step:
    return {"type": "coordinates"}


def squeeze_excitation(choose: Chooser, walk: Walk) -> Step:
    return {"type": "squeeze_excitation", "ratio": choose.whole(1, 3)}


def fourier_features(choose: Chooser, walk: Walk) -> Step:
    return {"type": "fourier_features", "width": 2 * choose.whole(1, 3)}


def conv_transpose(choose: Chooser, walk: Walk) -> Step:
    step: Step = {"type": "conv_transpose", "width": width(choose)}
    if choose.chance(50):
        step |= {"kernel": choose.whole(1, 4), "stride": choose.whole(1, 2)}
    if choose.chance(20):
        step["output_padding"] = choose.whole(0, 1)
    return dressed(choose, step)


def pool(choose: Chooser, walk: Walk) -> Step:
    return {"type": "pool", "size": size(choose, len(walk.value.places), 1, 3), "mode": choose.pick(("max", "mean"))}


def upsample(choose: Chooser, walk: Walk) -> Step:
    return {"type": "upsample", "scale": size(choose, len(walk.value.places), 1, 2), "mode": choose.pick(("nearest", "linear"))}


def flatten(choose: Chooser, walk: Walk) -> Step:
    return {"type": "flatten"}


def unflatten(choose: Chooser, walk: Walk) -> Step:
    total = walk.flat().value.shape[0]
    first = choose.pick([d for d in range(1, min(total, 60) + 1) if total % d == 0])
    step: Step = {"type": "unflatten", "size": [first]}
    if choose.chance(40):
        step["to"] = "sequence"
    elif choose.chance(50):
        rest = total // first
        step["size"] = [first, choose.pick([d for d in range(1, min(rest, 9) + 1) if rest % d == 0])]
    return step


def recurrent(choose: Chooser, walk: Walk) -> Step:
    step: Step = {"type": choose.pick(RECURRENT), "width": choose.whole(1, 4)}
    if choose.chance(40):
        step["returns"] = choose.pick(("sequence", "last", "mean"))
    if choose.chance(40):
        step[choose.pick(("bidirectional", "reverse"))] = True
    if step["type"] == "rnn" and choose.chance(50):
        step["nonlinearity"] = "relu"
    return step


def transformer(choose: Chooser, walk: Walk) -> Step:
    heads = choose.whole(1, 2)
    step: Step = {"type": "transformer", "width": heads * choose.whole(2, 3), "heads": heads, "mlp": choose.whole(1, 2)}
    if choose.chance(40):
        step["returns"] = choose.pick(("sequence", "mean"))
    if choose.chance(25):
        step["causal"] = True
    if choose.chance(25):
        step["dropout"] = share(choose, 0.1, 0.5)
    return step


def norm_step(choose: Chooser, walk: Walk) -> Step:
    return {"type": "norm", "norm": norm(choose)}


def activation_step(choose: Chooser, walk: Walk) -> Step:
    return {"type": "activation", "activation": activation(choose)}


def dropout(choose: Chooser, walk: Walk) -> Step:
    return {"type": "dropout", "rate": share(choose, 0.1, 0.6)}


def residual(choose: Chooser, walk: Walk) -> Step:
    kinds = {"vector": (linear,), "grid": (conv, conv, pool, residual), "sequence": (recurrent, transformer)}[walk.value.kind]
    inside = _inner(choose, walk, kinds)
    step: Step = {"type": "residual", "steps": inside}
    if choose.chance(30):
        step["activation"] = activation(choose)
    return step


def repeat(choose: Chooser, walk: Walk) -> Step:
    kinds = {"vector": (linear,), "grid": (conv, residual), "sequence": (recurrent, transformer)}[walk.value.kind]
    return {"type": "repeat", "times": choose.whole(1, 3), "steps": _inner(choose, walk, kinds)}


def _inner(choose: Chooser, walk: Walk, kinds: tuple[Propose, ...]) -> list[Step]:
    inside = [choose.pick(kinds)(choose, walk) for _ in range(choose.whole(1, 2))]
    for step in inside:
        if step["type"] in (*RECURRENT, "transformer"):
            step["returns"] = "sequence"
    if choose.chance(30):
        inside.append(choose.pick((activation_step, norm_step, dropout))(choose, walk))
    return inside


ON_VECTORS: tuple[Propose, ...] = (linear, linear, residual, repeat, activation_step, norm_step, dropout, unflatten, flatten,
                                   fourier_features)
ON_GRIDS: tuple[Propose, ...] = (conv, conv, conv, pool, residual, repeat, upsample, conv_transpose, flatten, linear, recurrent, transformer,
                                 activation_step, norm_step, dropout, unflatten, separable_conv, inverted_residual, convnext, blur_pool,
                                 coordinates, squeeze_excitation)
ON_SEQUENCES: tuple[Propose, ...] = (recurrent, recurrent, transformer, conv, pool, residual, repeat, flatten, linear, norm_step, dropout,
                                     activation_step)
LONGEST = 160          # positions that recurrent layers and attention shall meet
MOST = 4096            # values of one sample between layers


def grown(choose: Chooser, walk: Walk, count: int) -> tuple[list[Step], Walk]:
    """Up to `count` steps that the oracle accepts behind one another, and the value behind them."""
    steps: list[Step] = []
    for _ in range(count):
        options = {"vector": ON_VECTORS, "grid": ON_GRIDS, "sequence": ON_SEQUENCES}[walk.value.kind]
        step = choose.pick(options)(choose, walk)
        try:
            _check_cost(step, walk)
            reached = behind(step, walk, False)
            behind(step, walk, True)
        except Impossible:
            continue
        if _values(reached) <= MOST and not (isinstance(reached.value, Grid) and len(reached.value.size) > 3):
            steps, walk = [*steps, step], reached
    return steps, walk


def _values(walk: Walk) -> int:
    product = 1
    for extent in walk.value.shape:
        product *= extent
    return product


def _check_cost(step: Step, walk: Walk) -> None:
    inner = [step, *step.get("steps", ())]
    if any(each["type"] in (*RECURRENT, "transformer") for each in inner) and not isinstance(walk.value, Vector):
        value = walk.sequence().value
        if isinstance(value, Sequence) and value.length > LONGEST:
            raise Impossible


# ---------------------------------------------------------------------------------------------------------------- spelling


FIRST = {"linear": "width", "conv": "width", "conv_transpose": "width", "rnn": "width", "lstm": "width", "gru": "width",
         "transformer": "width", "pool": "size", "upsample": "scale", "norm": "norm", "activation": "activation", "dropout": "rate",
         "unflatten": "size", "residual": "steps"}


def spelled(choose: Chooser, step: Step) -> Any:
    """The step in one of the spellings a list allows."""
    kind, fields = step["type"], {key: value for key, value in step.items() if key != "type"}
    if "steps" in fields:
        fields["steps"] = [spelled(choose, inner) for inner in fields["steps"]]
    if not fields:
        return choose.pick((kind, {"type": kind}))
    if list(fields) == [FIRST.get(kind)] and not isinstance(fields[FIRST[kind]], dict) and choose.chance(70):
        return {kind: fields[FIRST[kind]]}
    return {kind: fields} if choose.chance(80) else {"type": kind, **fields}


def as_list(choose: Chooser, steps: list[Step]) -> list[Any]:
    """A stage in list form."""
    return [spelled(choose, step) for step in steps]


def block(choose: Chooser, step: Step) -> tuple[dict[str, Any], list[Step]]:
    """A stage in block form of layers like this one, and the same as a list of steps."""
    kind = step["type"]
    options = {key: value for key, value in step.items() if key not in ("type", "width")}
    form = choose.pick(("one", "list", "ramp"))
    heads = step.get("heads", 1) * step.get("groups", 1) * (4 if step.get("norm", "batch") != "batch" else 1)
    heads *= 2 if kind == "transformer" else 1                # a layer norm of one feature would erase it
    if form == "list":
        widths = [heads * choose.whole(1, 3) for _ in range(choose.whole(1, 3))]
        written: dict[str, Any] = {"width": widths}
    elif form == "ramp" and heads == 1:
        ends = choose.whole(1, 3), choose.whole(4, 9)
        depth = choose.whole(2, 3)
        widths = [round(ends[0] * (ends[1] / ends[0]) ** (i / (depth - 1))) for i in range(depth)]
        written = {"width": {"from": ends[0], "to": ends[1]}, "depth": depth}
    else:
        widths = [step["width"]] * choose.whole(1, 3)
        written = {"width": step["width"], "depth": len(widths)}
    if kind in RECURRENT and len(widths) > 1 and options.get("returns", "sequence") == "sequence" and choose.chance(40):
        options["dropout"] = 0.3
    return {"layer": kind, **written, **options}, [{"type": kind, "width": each, **options} for each in widths]
