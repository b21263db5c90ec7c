"""Valid specs of all kinds, dimensions and asymmetries: as a Hypothesis strategy and from a seed."""

from __future__ import annotations

import json
from typing import Any

import yaml
from generation.choosing import Chooser, Drawn, Seeded, share
from generation.decoders import Aim, decoder
from generation.oracle import Impossible, Step, Walk, after
from generation.steps import activation, as_list, block, conv, grown, linear, recurrent, transformer
from hypothesis import strategies as st

from aebuild.lang.values import Grid, Sequence, Value, Vector

VECTORS = (3, 7, 13, 20, 33)
LENGTHS = (1, 5, 12, 28, 37, 67, 141)
IMAGES = ((8, 8), (12, 12), (28, 28), (29, 31), (50, 70), (1, 1), (5, 3), (17, 16), (1, 9), (13, 23))
VOLUMES = ((4, 5, 6), (7, 7, 7), (3, 17, 9), (8, 4, 2), (2, 5, 11))


def specs() -> st.SearchStrategy[str]:
    """Texts of valid specs: drawn choice by choice, which shrinks well, or from a seed, which spreads well."""
    return st.one_of(drawn(), st.integers(0, 2**32).map(seeded))


@st.composite
def drawn(draw: Any) -> str:
    """The text of a valid spec that Hypothesis chooses."""
    return written(Drawn(draw))


def seeded(seed: int) -> str:
    """The text of the valid spec of a seed."""
    return written(Seeded(seed))


def written(choose: Chooser) -> str:
    """A valid spec as text, in one of several layouts."""
    spec = json.loads(json.dumps(generate(choose)))       # no object twice: YAML would write an anchor
    style = choose.pick(("block", "flow", "json"))
    if style == "json":
        return json.dumps(spec, indent=choose.pick((1, 2)))
    return yaml.safe_dump(spec, sort_keys=False, default_flow_style=style == "flow", width=100)


def generate(choose: Chooser) -> dict[str, Any]:
    """A valid spec as plain data."""
    value = data_type(choose)
    spec: dict[str, Any] = {"name": "generated", "data": data(choose, value)}
    positions = choose.chance(40)
    encoder, steps, end = encoder_stage(choose, Walk(value, positions=positions))
    spec["encoder"] = encoder
    spec["latent"], code = latent(choose, end.value, positions)
    written_decoder = decoder(choose, Aim(code, value, steps, _taps(steps, end, code)))
    if written_decoder is not None:
        spec["decoder"] = written_decoder
    labelled = spec["data"]["type"] == "digits" or "classes" in spec["data"]
    spec |= extras(choose, spec, labelled)
    return spec


def _taps(steps: list[Step], end: Walk, code: Value) -> bool:
    return bool(steps) and isinstance(end.value, Grid) and isinstance(code, Grid)


def data_type(choose: Chooser) -> Value:
    kind = choose.pick(("image", "vector", "sequence", "image", "image", "volume", "waveform"))
    if kind == "vector":
        return Vector(choose.pick(VECTORS))
    if kind == "sequence":
        return Sequence(choose.pick(LENGTHS), choose.whole(1, 3))
    sizes = {"image": IMAGES, "volume": VOLUMES, "waveform": tuple((length,) for length in LENGTHS)}[kind]
    return Grid(choose.pick((1, 2, 3)), choose.pick(sizes))


def data(choose: Chooser, value: Value) -> dict[str, Any]:
    """Data of this type that nothing is read of."""
    if isinstance(value, Grid) and len(value.size) == 2 and value.channels == 1 and choose.chance(60):
        found: dict[str, Any] = {"type": "digits", "size": list(value.size)}
        if choose.chance(40):
            found["scale"] = choose.pick(("integer", "integer", "signed", "standard"))
        return found
    found = {"type": "arrays", "path": "x.npy", "shape": list(value.shape)}
    if isinstance(value, Grid) and len(value.size) == 1:
        found["as"] = "grid"
    if choose.chance(40):
        found["scale"] = choose.pick(("unit", "signed", "standard"))
    if choose.chance(20):
        found |= {"classes": choose.whole(2, 4), "label": "y"}
    return found


# ------------------------------------------------------------------------------------------------------------ encoder, latent


def encoder_stage(choose: Chooser, walk: Walk) -> tuple[Any, list[Step], Walk]:
    """An encoder as written, as a list of steps, and what it ends in."""
    if choose.chance(35):
        made = _block_encoder(choose, walk)
        if made is not None:
            return made
    steps, _ = grown(choose, walk, choose.pick((0, 1, 2, 3, 4, 3, 5)))
    end = after(steps, walk)
    written_steps: Any = as_list(choose, steps)
    flattens = any(step["type"] in ("linear", "unflatten", "residual", "repeat") for step in steps)
    if steps and not flattens and not isinstance(end.value, Vector) and not walk.positions and choose.chance(40):
        written_steps = {"steps": written_steps, "adapter": "mean"}
    return written_steps, steps, end


def _block_encoder(choose: Chooser, walk: Walk) -> tuple[Any, list[Step], Walk] | None:
    makers = {"vector": (linear,), "grid": (conv, conv, linear, recurrent), "sequence": (recurrent, transformer, conv, linear)}
    short = isinstance(walk.value, Vector) or _positions(walk.value) <= 160
    step = choose.pick(makers[walk.value.kind] if short else (conv, linear))(choose, walk)
    written_block, steps = block(choose, step)
    try:
        return written_block, steps, after(steps, walk)
    except Impossible:
        return None


def _positions(value: Value) -> int:
    product = 1
    for extent in value.places:
        product *= extent
    return product


def latent(choose: Chooser, value: Value, positions: bool) -> tuple[dict[str, Any], Value]:
    """A latent behind an encoder that ends in this value, and the type of its code."""
    kind = choose.pick(("continuous", "gaussian", "codebook", "adversarial"))
    if kind == "adversarial" and positions:
        kind = "continuous"
    per_position = positions and not isinstance(value, Vector)
    dim = choose.pick((2, 3, 4, 6, 1))
    found: dict[str, Any] = {"type": kind, "dim": dim}
    if per_position:
        found["per"] = "position"
    elif kind == "codebook":
        found["per"] = "sample"
    if kind == "codebook":
        found |= _codebook(choose, dim)
    if kind == "gaussian" and choose.chance(30):
        found["prior"] = choose.pick(({"type": "mixture", "components": 3}, {"type": "flow", "transforms": 2, "width": 4},
                                      {"type": "mixture", "components": 2, "covariance": "full"}))
    if kind == "continuous" and choose.chance(50):
        found["activation"] = choose.pick(("sigmoid", activation(choose)))
    if kind == "adversarial":
        found |= _adversarial(choose, dim)
    return found, value.with_features(found["dim"]) if per_position else Vector(found["dim"])


def _codebook(choose: Chooser, dim: int) -> dict[str, Any]:
    found: dict[str, Any] = {"codes": choose.whole(2, 9)}
    if choose.chance(50):
        found["groups"] = choose.pick([d for d in range(1, dim + 1) if dim % d == 0])
        found["shared"] = choose.chance(50)
    if choose.chance(50):
        found["update"] = choose.pick(("gradient", "ema", {"type": "ema", "decay": 0.9}))
    if choose.chance(30):
        found["init"] = "kmeans"
    if choose.chance(30):
        found["restart"] = {"below": 0.1}
    if choose.chance(30):
        found["prior"] = "empirical"
    return found


def _adversarial(choose: Chooser, dim: int) -> dict[str, Any]:
    prior = choose.pick(("gaussian", "uniform", "petals", "swiss_roll", "categorical"))
    if prior in ("petals", "swiss_roll", "categorical"):
        dim = 2
    found: dict[str, Any] = {"prior": prior, "dim": dim}
    if choose.chance(60):
        found["discriminator"] = block(choose, linear(choose, Walk(Vector(dim))))[0]
    else:
        found["discriminator"] = as_list(choose, grown(choose, Walk(Vector(dim)), choose.whole(0, 2))[0])
    return found


# ----------------------------------------------------------------------------------------------- losses, heads, corruption, training


def extras(choose: Chooser, spec: dict[str, Any], labelled: bool) -> dict[str, Any]:
    """Everything that is not the network."""
    found: dict[str, Any] = {}
    if choose.chance(30):
        found["corrupt"] = [choose.pick(({"gaussian": {"std": 0.5, "clip": [0, 1]}}, {"gaussian": 0.2}, {"mask": 0.3},
                                         {"type": "mask", "ratio": 0.2, "value": 1, "when": "always"})) for _ in range(choose.whole(1, 2))]
    if labelled and choose.chance(40):
        source = choose.pick(("latent", "encoder"))
        found["heads"] = {"kind": {"from": source, "predicts": "label", "network": choose.pick(([], [{"linear": 3}]))}}
    found["losses"] = losses(choose, spec, found)
    found["train"] = training(choose, spec)
    return found


def losses(choose: Chooser, spec: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"reconstruction": likelihood(choose, spec["data"])}
    if spec["latent"]["type"] == "gaussian":
        found["kl"] = choose.pick((2, {"weight": weight(choose), "free_bits": 0.1}, {"reduction": "mean"}))
    if spec["latent"]["type"] == "codebook":
        found["commitment"] = choose.pick((0.25, {"weight": weight(choose), "reduction": "mean"}))
    if spec["latent"]["type"] == "adversarial" and choose.chance(50):
        found["adversarial"] = {"weight": weight(choose)}
    if choose.chance(30):
        found["sparsity"] = {"type": "l1", "weight": weight(choose)}
        if spec["latent"].get("activation") == "sigmoid":
            found["sparsity"] = {"type": "kl", "target": share(choose)}
    if "corrupt" in others and choose.chance(40):
        found["contrastive"] = {"temperature": share(choose, 0.2, 2), "weight": 0.1}
    if "heads" in others and choose.chance(50):
        found["kind"] = {"weight": weight(choose)}
    return found


def weight(choose: Chooser) -> Any:
    return choose.pick((0.5, 2, {"from": 0, "to": 4, "over": "10 epochs"}, [{"from": 0, "to": 1, "over": "20%"},
                                                                           {"from": 1, "to": 0.5, "over": "80 steps", "shape": "cosine"}]))


def likelihood(choose: Chooser, data_part: dict[str, Any]) -> Any:
    known = ["mse", "l1", "gaussian", {"type": "gaussian", "variance": 0.5}, {"type": "gaussian", "variance": "learned"},
             {"type": "gaussian", "variance": "per_dim"}, {"type": "gaussian", "variance": "predicted", "reduction": "mean"}]
    scale = data_part.get("scale", "unit" if data_part["type"] == "digits" or len(data_part["shape"]) > 2 or "as" in data_part else "standard")
    if scale == "unit":
        known += ["bernoulli", "bernoulli"]
    if scale == "integer":
        known += ["categorical"] * 4
    return choose.pick(known)


def training(choose: Chooser, spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"epochs": choose.whole(1, 3), "batch_size": choose.pick((32, 16)), "seed": choose.whole(0, 99)}
    if choose.chance(50):
        found["optimizer"] = choose.pick(("adamw", {"type": "sgd", "lr": 0.01, "momentum": 0.9}, {"type": "rmsprop", "schedule": "cosine"},
                                          {"lr": {"from": 0, "to": 0.001, "over": "1 epoch"}}))
    if choose.chance(30):
        found["clip"] = 1.0
    if spec["latent"]["type"] == "adversarial" and choose.chance(60):
        found["players"] = {"discriminator": {"optimizer": {"type": "sgd", "lr": 0.01}, "steps": 2}}
    if greedy_fits(spec) and choose.chance(80):
        found["phases"] = choose.pick((["greedy"], [{"greedy": {"target": "code", "epochs": 1}}, "main"]))
    elif choose.chance(30):
        found["phases"] = ["main", {"main": {"steps": 5, "batch_size": 8}}]
    return found


def greedy_fits(spec: dict[str, Any]) -> bool:
    """Layer-wise training needs a mirror of layers that each undo one: plain linear ones do."""
    if isinstance(spec["encoder"], dict):
        linear_only = spec["encoder"].get("layer") == "linear"
    else:
        linear_only = all(step == "linear" or isinstance(step, dict) and ("linear" in step or step.get("type") == "linear")
                          for step in spec["encoder"])
    return linear_only and spec.get("decoder") in (None, "mirror", {"type": "mirror"}) and spec["latent"]["type"] != "adversarial"
