"""The training of the ejected file: its phases one after the other, reading the samples, and what runs it."""

from __future__ import annotations

from aebuild.compile.plan import Plan
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.priors import Prior
from aebuild.results.ejection.greedy_passes import pair_pass
from aebuild.results.ejection.layout import listed, tupled
from aebuild.results.ejection.loop_functions import loop_functions
from aebuild.results.ejection.loss_functions import RAMP, SUMMED, losses
from aebuild.results.ejection.model_class import known_of
from aebuild.results.ejection.phase_functions import phase_functions, streamed, stretches
from aebuild.trainer.phase import pass_size

KINDS = {"x": "float32", "target": "float32", "labels": "int64", "lengths": "int64", "mask": "bool", "conditions": "float32",
         "ids": "int64"}


ON_DISK = ["    # aebuild leaves these samples on disk, reads them batch by batch, and mixes an epoch by blocks. Here all are in memory,",
           "    # and an epoch takes them in another order: from the same weights it does not end with the very same."]
MAIN = '''
if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(f"python {sys.argv[0]} SAMPLES [VALIDATION], each an .npy or .npz")
    torch.manual_seed(SEED)
    network = Autoencoder()
    train(network, *map(read, sys.argv[1:]))
    save_file(network.state_dict(), "model.safetensors")
'''.strip()


def training(plan: Plan, model: Autoencoder) -> list[str]:
    """Losses and loop: constants and functions in an order in which they can be read."""
    fixed = tuple(name for name, parameter in model.named_parameters() if not parameter.requires_grad)
    found, own = stretches(plan, fixed), losses(plan)
    passes = [pair_pass(plan, model, each.phase.pair, each.name) for each in found if each.phase.pair is not None]
    phases, calls = phase_functions(found)
    phases.append(_train(plan, model, calls, fixed))
    written = "\n".join((*own, *phases))
    arithmetic = [text for name, text in (("ramp(", RAMP), ("summed(", SUMMED)) if name in written]
    stateless: tuple[str, ...] = ("model.corruptions",) if len(model.corruptions) else ()
    stateless += ("model.penalties.children()",) if model.penalties.items() else ()
    small = loop_functions("\n".join(phases), stateless, pass_size(plan, plan.phases[-1]), known_of(plan))
    seed = f"SEED = {plan.spec.train.seed}         # of the order of the samples and of all noise"
    return [seed, *arithmetic, *own, *small, *passes, *phases, _read(plan), MAIN]


def _train(plan: Plan, model: Autoencoder, calls: list[str], fixed: tuple[str, ...]) -> str:
    """The function that goes through the phases and ends with what is fitted to the codes."""
    lines = ["def train(model: Autoencoder, data: Batch, validation: Batch | None = None) -> None:",
             f'    """Trains on samples data.x {_batch_shape(plan)}, scaled as the head of the file says; `validation` judges each epoch.',
             "", "    From the same weights and samples it ends with the weights that aebuild's exact training ends with.", '    """',
             *_unjudged(plan)]
    if model.latent.prior.held:
        lines += ["    begin_noise(random_modules(model), SEED, 0)          # the prior begins with samples",
                  f"    held = data.x[shuffled(len(data.x), \"prior\", 0)[:{model.latent.prior.held}]]",
                  "    model.latent.prior.begin(model.eval().corrupt(held, {}))"]
    lines += [f"    {'tick = ' if number < len(calls) else ''}{call}" for number, call in enumerate(calls, 1)]
    lines.append("    model.requires_grad_(True)")
    if fixed:
        lines += [f"    for name in {tupled(fixed)}:", "        model.get_parameter(name).requires_grad_(False)"]
    lines.append("    model.eval()")
    if type(model.latent.prior).fit is not Prior.fit and "sample" not in model.refusals:
        lines.append("    model.latent.prior.fit(codes_of(model, data))         # for `sample`")
    return "\n".join(lines)


def _unjudged(plan: Plan) -> list[str]:
    """What is said where nothing can be judged."""
    told = ["no phase ends early"] if any(phase.patience is not None for phase in plan.phases) else []
    told += ["the last weights are kept, not the best"] if plan.spec.train.keep == "best" else []
    return ["    if validation is None:", f'        print("no validation samples: {", and ".join(told)}")'] if told else []


def _batch_shape(plan: Plan) -> str:
    return f"[n, {', '.join(map(str, plan.input.shape))}]"


def _read(plan: Plan) -> str:
    whole = [name for name, value in (("x", plan.input), ("target", plan.target)) if value.kind == "tokens"]
    kinds = {**KINDS, **dict.fromkeys(whole, "int64")}
    names = ["x", *(["target"] if plan.target != plan.input else []), *(["conditions"] if plan.conditions else [])]
    wanted = f"{{{', '.join(map(_quoted, names))}}}"
    return "\n".join([
        "def read(path: str) -> Batch:",
        '    """The samples of an .npy, or of an .npz with arrays named x and, where there are any, target, labels, lengths, ..."""',
        *(ON_DISK if streamed(plan) else []),
        *listed("    ", "kinds = {", [f'"{name}": torch.{kind}' for name, kind in kinds.items()], "}"),
        "    held = np.load(path, allow_pickle=False)",
        '    arrays = {"x": held} if isinstance(held, np.ndarray) else dict(held)',
        f"    if not {wanted} <= arrays.keys() <= kinds.keys():",
        f'        sys.exit(f"{{path}} has the arrays {{sorted(arrays)}}; {_spoken(wanted)} must be there, all can be {{sorted(kinds)}}")',
        "    found = {name: torch.from_numpy(array).to(kinds[name]) for name, array in arrays.items()}",
        '    return Batch(**{"target": found["x"], **found})'])


def _quoted(name: str) -> str:
    return f'"{name}"'


def _spoken(names: str) -> str:
    return names.strip("{}").replace('"', "").replace(", ", " and ")
