"""Fully sharded training: each process holds its part of weights, gradients and optimiser states."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.modules.codebook import CodebookLatent

BLOCK = 1 << 16      # weights from which a layer is a unit of its own, gathered when it runs and let go after it
UNSHARDABLE = Rule("AE613", "this model cannot be sharded", """
`--shard` divides weights among the processes. Codebooks that are learned by gradient are also changed directly, by k-means and
restarts, which divided weights do not allow, and a single number, such as one learned variance for all values, cannot be divided.
Neither can a model whose terms are balanced by their gradients, that draws codes by Hamiltonian steps, or that reads the weights of another
part (`decoder_weights`, gated and tied sparse codes). Nor can a `pretrained` TorchScript program be divided:
frozen it is held by all, and one that is trained further must be a program that torch.export wrote.
Use a codebook of running averages, a variance that is given, or train without `--shard`.

```yaml
latent: {type: codebook, codes: 8192, dim: 64, update: gradient}     # cannot be divided
latent: {type: codebook, codes: 8192, dim: 64, update: ema}          # the codebook is held by all
```
""")


def shard(model: nn.Module, size: int, device: torch.device, *, balanced: bool = False) -> None:
    """Divides the weights of a model among the processes of torch's default group; UsageError if it cannot be.

    Where terms are `balanced` by their gradients, these are taken one by one. Large layers are units of their own, unless slopes are taken
    inside of a pass: a layer lets go of its weights behind the first gradient through it, and the slope's gradient needs them again.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    if any(isinstance(module, CodebookLatent) and isinstance(module.codebook, nn.Parameter) for module in model.modules()):
        raise UsageError(Diagnostic(UNSHARDABLE, "a codebook that is learned by gradient cannot be sharded", fix="update: ema"))
    undivided = [name for name, module in model.named_modules() if getattr(module, "shardable", True) is False]
    if balanced or undivided:
        raise UsageError(Diagnostic(UNSHARDABLE, f"{undivided[0] if undivided else 'the bound'} reads the weights of another "
                                    "part, or takes gradients on the way, which divided weights do not allow",
                                    fix=Hint("train without --shard")))
    # terms may be views, which nobody changes in place
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor", UserWarning)
    foreign = {weight for module in model.modules() if isinstance(module, torch.jit.ScriptModule) for weight in module.parameters()}
    if any(parameter.ndim == 0 for parameter in model.parameters() if parameter not in foreign):
        raise UsageError(Diagnostic(UNSHARDABLE, "one learned variance for all values cannot be sharded",
                                    fix=Hint("train without --shard")))
    if any(weight.requires_grad for weight in foreign):
        raise UsageError(Diagnostic(UNSHARDABLE, "the weights of a TorchScript program cannot be sharded, and these are trained",
                                    fix=Hint("freeze: true, or a program that torch.export wrote")))
    mesh = init_device_mesh(device.type, (size,))
    together = any(getattr(module, "one_unit", False) for module in model.modules())
    for module in model.modules():
        large = isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and sum(p.numel() for p in module.parameters()) >= BLOCK
        if large and not together:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh, ignored_params=foreign)
    for method in ("run", "losses", "run_losses"):
        register_fsdp_forward_method(model, method)
    assert isinstance(model, FSDPModule)
    model.unshard()          # decides what gets gradients: everything; players are told apart by their optimisers
    model.reshard()


def whole(value: Any) -> Any:
    """A nested state with all divided tensors put together; all processes call it at once."""
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        return value.detach().full_tensor()  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return type(value)((key, whole(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value)(whole(item) for item in value)
    return value


def divided(tensor: Tensor, like: Tensor) -> Tensor:
    """A tensor that every process has whole, divided like another of its shape, if that is and this is not."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(tensor, DTensor) or not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def put(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Whole tensors into a model that may be divided; its modules are told as by any other loading."""
    model.load_state_dict({name: divided(tensors[name].to(target.device), target) for name, target in model.state_dict().items()})


def local(tensor: Tensor) -> Tensor:
    """What this process has of a tensor."""
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def by_rows(tensor: Tensor) -> bool:
    """True if each process has some rows of it, which is how weights are divided here."""
    from torch.distributed.tensor import DTensor, Shard

    return isinstance(tensor, DTensor) and tensor.placements == (Shard(0),)


def rows_of(rows: int, number: int, size: int) -> tuple[int, int]:
    """The bounds of the rows that a process has, cut as by torch.chunk, which is what torch promises for `Shard`."""
    each = -(-rows // size)
    return min(rows, number * each), min(rows, (number + 1) * each)


def from_rows(own: Tensor, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A tensor of this full shape, divided over the processes of another one, from the rows that each of them has."""
    from torch.distributed.tensor import DTensor, Shard

    assert isinstance(like, DTensor)
    stride = torch.empty(shape, device="meta").stride()
    return DTensor.from_local(own.to(like.device), like.device_mesh, (Shard(0),), run_check=False, shape=torch.Size(shape), stride=stride)
