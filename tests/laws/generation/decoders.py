"""Generated decoders: for any code and any target, of every kind that can lead from the one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from aebuild.lang.values import Grid, Sequence, Value, Vector
from generation.choosing import Chooser
from generation.oracle import RECURRENT, Step, Walk
from generation.steps import LONGEST, activation_step, as_list, block, dressed, dropout, linear, recurrent, size, transformer, width

UPSAMPLES = ("transpose", "nearest", "shuffle")


@dataclass(frozen=True)
class Aim:
    """Where a decoder starts, where it must end, and the encoder that it may mirror."""

    code: Value
    target: Value
    encoder: list[Step]
    taps: bool = False            # the encoder ends on a grid that is the code's

    @property
    def fits_grid(self) -> bool:
        """True if convolutions alone can lead from the code to the target."""
        places, goal = self.code.places, self.target.places
        if not goal:
            return False
        return not places or len(places) == len(goal) and all(p <= g for p, g in zip(places, goal, strict=True))

    @property
    def fits_sequence(self) -> bool:
        """True if recurrent layers or attention alone can."""
        goal = prod(self.target.places)
        return bool(self.target.places) and goal <= LONGEST and (not self.code.places or self.code.places == self.target.places)


def decoder(choose: Chooser, aim: Aim) -> Any:
    """A decoder in one of the forms of the language; None to leave it out."""
    forms = [linear_decoder, linear_decoder, mixed_decoder]
    erased = aim.code.features == 1 and any(step["type"] == "norm" for step in aim.encoder)      # a norm of single values
    if mirrors(aim.encoder) and not erased:
        forms += [mirror] * 3
    if aim.fits_grid:
        forms += [conv_decoder] * 4
    if aim.fits_sequence:
        forms += [sequence_decoder] * 2
    if isinstance(aim.target, Sequence) and isinstance(aim.code, Vector):
        forms += [unrolled_decoder] * 3
    return choose.pick(forms)(choose, aim)


def mirrors(encoder: list[Step]) -> bool:
    """True if every step can be undone: what enlarges in an encoder cannot, and padding may have done so."""
    for step in encoder:
        if step["type"] in ("conv_transpose", "upsample", "unflatten") or "padding" in step or "dilation" in step:
            return False
        if step.get("groups", 1) > 1 or not mirrors(step.get("steps", [])):
            return False
        norm = step.get("norm")
        if isinstance(norm, dict) and norm["type"] == "group":
            return False
    return True


def mirror(choose: Chooser, aim: Aim) -> Any:
    if choose.chance(40):
        return choose.pick((None, "mirror"))
    departure: dict[str, Any] = {"type": "mirror"}
    if has_width(aim.encoder, nested=True) and choose.chance(60):
        departure["widen"] = choose.pick((1.5, 2))
    if has_width(aim.encoder, nested=False) and choose.chance(60):
        departure["deepen"] = choose.whole(1, 2)
    return departure


def has_width(steps: list[Step], *, nested: bool) -> bool:
    """True if there is a layer to widen, or one to copy."""
    kept = [step for step in steps if step.get("type") != "fourier_features"]          # a mirror leaves these out
    return any("width" in step or nested and has_width(step.get("steps", []), nested=True) for step in kept)


def linear_decoder(choose: Chooser, aim: Aim) -> Any:
    walk = Walk(Vector(1))
    if choose.chance(40):
        return block(choose, linear(choose, walk))[0]
    steps = [linear(choose, walk) for _ in range(choose.whole(0, 3))]
    if steps and choose.chance(30):
        steps.append({"type": "residual", "steps": [linear(choose, walk)]})
    if not steps and aim.code.places and aim.code.places != aim.target.places:
        steps.append({"type": "flatten"})
    return as_list(choose, steps)


def up_conv(choose: Chooser, rank: int) -> Step:
    """A convolution whose stride is left to the compiler."""
    step: Step = {"type": "conv", "width": width(choose)}
    if choose.chance(50):
        step["kernel"] = size(choose, rank, 1, 5)
    if choose.chance(40):
        step["upsample"] = choose.pick(UPSAMPLES)
    if choose.chance(15):
        step |= {"dilation": choose.whole(1, 2), "kernel": choose.pick((3, 1, 5))}      # an even one may see nothing but padding
    return dressed(choose, without_groups(step))


def without_groups(step: Step) -> Step:
    """A norm of groups divides even widths."""
    step["width"] += step["width"] % 2
    return step


def conv_decoder(choose: Chooser, aim: Aim) -> Any:
    rank = len(aim.target.places)
    extra: dict[str, Any] = {}
    if isinstance(aim.code, Vector) and choose.chance(30):
        extra["seed"] = [choose.whole(1, min(4, goal)) for goal in aim.target.places]
    if choose.chance(60 if any(step["type"] == "conv" for step in aim.encoder) else 5):
        extra["skip"] = True
    if choose.chance(40):
        return {**block(choose, up_conv(choose, rank))[0], **extra}
    steps = [up_conv(choose, rank) for _ in range(choose.whole(1, 3))]
    if isinstance(aim.code, Vector) and "seed" not in extra and choose.chance(25):
        for step in steps:
            step["stride"] = choose.whole(1, 3)
    else:
        steps += _followers(choose, rank)
    if aim.taps and choose.chance(50):
        steps.insert(0, {"type": "skip", "from": f"encoder.{len(aim.encoder) - 1}", "combine": "concat"})
    if choose.chance(20):
        steps.append({"type": "output", "kernel": choose.pick((3, 1, 5))})
    listed = as_list(choose, steps)
    return {"steps": listed, **extra} if extra else listed


def _followers(choose: Chooser, rank: int) -> list[Step]:
    walk = Walk(Grid(2, (2,) * max(1, rank)))
    inside: list[Step] = [{"type": "conv", "width": 4}, {"type": "conv", "width": 4, "kernel": choose.whole(1, 3), "activation": "none"}]
    options: list[Step] = [{"type": "residual", "steps": inside}, {"type": "repeat", "times": choose.whole(1, 2), "steps": inside},
                           activation_step(choose, walk), dropout(choose, walk), {"type": "norm", "norm": "batch"}]
    return [choose.pick(options) for _ in range(choose.whole(0, 2))]


def over_sequence(choose: Chooser) -> Step:
    walk = Walk(Sequence(4, 2))
    step = recurrent(choose, walk) if choose.chance(60) else transformer(choose, walk)
    step.pop("returns", None)
    return step


def sequence_decoder(choose: Chooser, aim: Aim) -> Any:
    steps = [over_sequence(choose) for _ in range(choose.whole(1, 2))]
    if isinstance(aim.code, Vector) and steps[0]["type"] in RECURRENT and choose.chance(50):
        steps[0]["feed"] = choose.pick(("repeat", "none"))
    if len({step["type"] for step in steps}) == 1 and choose.chance(40):
        return block(choose, steps[0])[0]
    if choose.chance(30):
        steps.append(choose.pick((activation_step, dropout))(choose, Walk(Sequence(4, 2))))
    return as_list(choose, steps)


def unrolled_decoder(choose: Chooser, aim: Aim) -> Any:
    """A recurrent decoder that is fed its own output."""
    kind = choose.pick(RECURRENT)
    first: Step = {"type": kind, "width": choose.whole(1, 4), "feed": "previous"}
    if choose.chance(50):
        first["teacher_forcing"] = choose.pick((0, 0.5, {"from": 1, "to": 0, "over": "50%"}))
    if choose.chance(30):
        first["reverse"] = True
    if choose.chance(40):
        return block(choose, first)[0]
    steps = [linear(choose, Walk(Vector(1)))] * choose.whole(0, 1) + [first]
    if choose.chance(40):
        steps.append({"type": choose.pick(RECURRENT), "width": choose.whole(1, 3), "reverse": first.get("reverse", False)})
    if choose.chance(40):
        steps.append(choose.pick((activation_step, dropout))(choose, Walk(Sequence(4, 2))))
    return as_list(choose, steps)


def mixed_decoder(choose: Chooser, aim: Aim) -> Any:
    """Layers of one type, then of another; what stands in the middle unfolds or is flattened."""
    walk = Walk(Vector(1))
    start: list[Step] = [{"type": "flatten"}] if aim.code.places else []
    goal = aim.target.places
    if not goal or choose.chance(30):
        rank = len(goal) or choose.whole(1, 3)
        inner = [up_conv(choose, rank)] if choose.chance(60) else [over_sequence(choose)]
        seed = [choose.whole(1, 4) for _ in range(rank)]
        end: list[Step] = [linear(choose, walk)] if choose.chance(60) else []
        return {"steps": as_list(choose, [*start, *inner, {"type": "flatten"}, *end]), "seed": seed}
    steps = [*start, linear(choose, walk)]
    if choose.chance(40):
        seed = [choose.whole(1, min(3, extent)) for extent in goal]
        steps += [{"type": "linear", "width": 2 * prod(seed)}, {"type": "unflatten", "size": seed}]
    elif prod(goal) <= 64 and choose.chance(40):
        steps.append(over_sequence(choose))
    return as_list(choose, [*steps, *(up_conv(choose, len(goal)) for _ in range(choose.whole(1, 2)))])
