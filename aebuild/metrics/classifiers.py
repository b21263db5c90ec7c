"""How well classes can be told from codes: classifiers fitted to few or many labelled samples, judged on others."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

LR, BATCH = 1e-3, 32         # of the published protocol
STEPS = 5_000                # of L-BFGS at most
AT_ONCE = 1_024              # samples judged at a time


@dataclass(frozen=True, eq=False)
class Labelled:
    """Inputs as an encoder takes them, each [n, ...], and the classes [n] of the samples."""

    inputs: Sequence[Tensor]
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def rows(self, index: Tensor | slice) -> tuple[list[Tensor], Tensor]:
        """Some of the samples."""
        return [held[index] for held in self.inputs], self.classes[index]


def train_by_protocol(encoder: nn.Module, width: int, classes: int, train: Labelled, held_out: Labelled | None, epochs: int,
                      seed: int = 0, begin: Callable[[int], object] = lambda tick: None) -> nn.Module:
    """A linear layer on an encoder [n, ...] -> [n, width], by the protocol of the autoencoder bake-off (tilman151/ae_bakeoff, 2020).

    Adam with a learning rate of 1e-3, batches of 32, cross-entropy; of all epochs the weights with the best accuracy on `held_out` are
    taken, without held-out samples the last. It never stops early: where codes are large, accuracy falls before it rises. What the
    encoder has of parameters is trained too, so a frozen code is an `Identity`. `begin` hears the number of each batch before it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        device = train.classes.device
        network = nn.Sequential(_Together(encoder), nn.Linear(width, classes).to(device))
        optimizer, draw = torch.optim.Adam(network.parameters(), lr=LR), torch.Generator().manual_seed(seed)
        best, kept, tick = -1.0, copy.deepcopy(network.state_dict()), 0
        for _ in range(epochs):
            network.train()
            for index in _batches(torch.randperm(len(train), generator=draw).to(device)):
                begin(tick)
                inputs, wanted = train.rows(index)
                optimizer.zero_grad()
                torch.autograd.backward(nn.functional.cross_entropy(network(inputs), wanted))
                optimizer.step()
                tick += 1
            if held_out is None:
                continue
            found = float((predicted(network, held_out, begin) == held_out.classes.cpu().numpy()).mean())
            if found > best:
                best, kept = found, copy.deepcopy(network.state_dict())
        if held_out is not None:
            network.load_state_dict(kept)
    return network


class _Together(nn.Module):
    """An encoder of several inputs as a step of a Sequential."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, inputs: list[Tensor]) -> Tensor:
        encoded: Tensor = self.encoder(*inputs)
        return encoded.flatten(1)


def _batches(order: Tensor) -> Iterator[Tensor]:
    """Batches of 32; a last sample alone joins the batch before it, since normalisation over a batch needs two."""
    start = 0
    while start < len(order):
        stop = len(order) if len(order) - start <= BATCH + 1 else start + BATCH
        yield order[start:stop]
        start = stop


@torch.no_grad()
def encoded(encoder: nn.Module, data: Labelled, begin: Callable[[int], object] = lambda tick: None) -> NDArray[np.float32]:
    """What an encoder makes of the samples in evaluation mode, [n, d]."""
    return _outputs(lambda inputs: encoder(*inputs).flatten(1), encoder, data, begin).float().cpu().numpy()


@torch.no_grad()
def predicted(network: nn.Module, data: Labelled, begin: Callable[[int], object] = lambda tick: None) -> NDArray[np.int64]:
    """The classes [n] that a trained network gives."""
    return _outputs(network, network, data, begin).argmax(1).cpu().numpy()


def _outputs(compute: Callable[[list[Tensor]], Tensor], module: nn.Module, data: Labelled, begin: Callable[[int], object]) -> Tensor:
    module.eval()
    found = []
    for tick, start in enumerate(range(0, len(data), AT_ONCE)):
        begin(tick)
        found.append(compute(data.rows(slice(start, start + AT_ONCE))[0]))
    return torch.cat(found)


@dataclass(frozen=True)
class Fitted:
    """A classifier of scikit-learn's, and whether its fit came to its end."""

    model: Any
    ended: bool = True

    def classes_of(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        """The class of each row [n, d]."""
        return np.asarray(self.model.predict(rows), np.int64)


def converged(codes: NDArray[Any], classes: NDArray[np.int64]) -> Fitted:
    """Logistic regression on standardised codes [n, d]; the penalty is scikit-learn's usual one."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=STEPS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(codes.astype(np.float64), classes)
    return Fitted(model, bool((model[-1].n_iter_ < STEPS).all()))


def nearest(codes: NDArray[Any], classes: NDArray[np.int64], neighbours: int) -> Fitted:
    """The commonest class of so many nearest samples [n, d], or of all if there are fewer."""
    from sklearn.neighbors import KNeighborsClassifier

    return Fitted(KNeighborsClassifier(min(neighbours, len(codes))).fit(codes, classes))


def share_right(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[float, float, float]:
    """The accuracy of [n] against [n], and its 95 % interval (Wilson, 1927)."""
    from scipy.stats import binomtest

    right = int((found == wanted).sum())
    low, high = binomtest(right, len(wanted)).proportion_ci(0.95, "wilson")
    return right / len(wanted), float(low), float(high)
