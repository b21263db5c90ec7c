"""The small functions that the ejected training loop is made of, as their source; those that are not called are left out."""

from __future__ import annotations

import inspect

from aebuild.results.ejection.alone import short_docstrings
from aebuild.trainer.batches.sampler import batch_bounds
from aebuild.trainer.players import under

ORDER = '''
def shuffled(samples: int, phase: str, epoch: int) -> Tensor:
    """The order of the samples in an epoch, [samples], which only the seed, the phase and the epoch decide."""
    return torch.randperm(samples, generator=torch.Generator().manual_seed(derive(SEED, "order", phase, epoch)))
'''
ROWS = '''
def rows_of(data: Batch, rows: Tensor) -> Batch:
    """The samples of these numbers."""
    known = {each.name: value for each in fields(data) if (value := getattr(data, each.name)) is not None}
    return Batch(**{name: value[rows] for name, value in known.items()})
'''
NOISE = '''
def begin_noise(randoms: list[tuple[str, Random]], seed: int, tick: int) -> None:
    """Each module draws from (seed, its path, tick) from now on; the layers of torch that draw, from (seed, tick)."""
    reseed(randoms, seed, tick)
    torch.manual_seed(derive(seed, "torch", tick))
'''
PARAMETERS = '''
def parameters_under(model: nn.Module, paths: tuple[str, ...], frozen: tuple[str, ...] = ()) -> list[nn.Parameter]:
    """The parameters at these paths of the model and below them, without the frozen ones."""
    return [parameter for name, parameter in model.named_parameters() if under(name, paths) and not under(name, frozen)]
'''
ONLY = '''
def train_only(model: nn.Module, parameters: list[nn.Parameter]) -> None:
    """Lets gradients reach these parameters and no others."""
    model.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
'''
MODES = '''
def set_modes(model: Autoencoder, moving: tuple[str, ...], frozen: tuple[str, ...] = ()) -> None:
    """Training mode for what is trained; the rest is in evaluation mode, where it keeps its statistics and drops nothing."""
    for name, module in model.named_modules():
        module.training = name == "" or (under(name, moving) and not under(name, frozen))
'''
STATELESS = '''
    for module in STATELESS:
        if not module.state_dict():
            module.train()
'''
SCORE = '''
@torch.no_grad()
def score_of(model: Autoencoder, data: Batch, size: int, loss: Callable[[Batch], Tensor]) -> float:
    """The mean loss in evaluation mode, with the same noise each time, so that two scores differ by the weights only."""
    model.eval()
    randoms, total = random_modules(model), 0.0
    for number, (start, stop) in enumerate(batch_bounds(len(data.x), size)):
        begin_noise(randoms, derive(SEED, "measure", "autoencoder"), number)
        total += loss(data.rows(start, stop)).item() * (stop - start)
    return total / len(data.x)
'''
CODES = '''
@torch.no_grad()
def codes_of(model: Autoencoder, data: Batch) -> list[Tensor]:
    """The codes of all samples in blocks [n, ...], encoded in evaluation mode, with the same noise each time."""
    model.eval()
    randoms, blocks = random_modules(model), []
    for number, (start, stop) in enumerate(batch_bounds(len(data.x), CODE_SIZE)):
        begin_noise(randoms, derive(SEED, "codes"), number)
        batch = data.rows(start, stop)
        known = KNOWN
        blocks.append(model.latent.codes_of(model.encode(batch.x, known)))
    return blocks
'''
TELL = '''
def tell(phase: str, epoch: int, epochs: int, loss: float, score: float | None) -> None:
    """A line for an epoch that is done; FloatingPointError where a number is none."""
    judged = "" if score is None else f", validation {score:.4g}"
    print(f"{phase}: epoch {epoch:,} of {epochs:,}, loss {loss:.4g}{judged}")
    if not math.isfinite(loss + (score or 0)):
        raise FloatingPointError(f"{phase} diverged in epoch {epoch}: a lower learning rate or `clip` may help")
'''


def loop_functions(written: str, stateless: tuple[str, ...], code_size: int, known: str) -> list[str]:
    """The functions that `written` calls and those that they call.

    `stateless` are the modules of which those that keep nothing are always in training mode, `code_size` are the samples encoded at once,
    `known` is what of a batch the encoder is told besides.
    """
    modes = MODES
    if stateless:
        every = stateless[0] if len(stateless) == 1 else f"({', '.join(f'*{each}' for each in stateless)})"
        modes += STATELESS.lstrip("\n").replace("STATELESS", every)
    bounds, path = (short_docstrings(inspect.getsource(function)) for function in (batch_bounds, under))
    codes = CODES.replace("CODE_SIZE", str(code_size)).replace("KNOWN", known)
    texts = (bounds, ORDER, ROWS, NOISE, path, PARAMETERS, ONLY, modes, SCORE, codes, TELL)
    named = {text.split("def ", 1)[1].split("(", 1)[0]: text.strip() for text in texts}
    wanted: set[str] = set()
    while more := {name for name in named.keys() - wanted
                   if any(f"{name}(" in text for text in (written, *(named[each] for each in wanted)))}:
        wanted |= more
    return [text for name, text in named.items() if name in wanted]
