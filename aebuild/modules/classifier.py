"""A small classifier, whose last hidden layer tells what matters in a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor, nn

FEATURES = 64
SIDE = 32                # larger images are averaged to at most so many places a side
SMALLEST = 8             # places of a side from which convolutions are worth it
EPOCHS, BATCH, RATE = 4, 128, 2e-3


class Classifier(nn.Module):
    """Samples [N, *shape] to logits [N, classes], through `features` [N, 64].

    Images of 8 places a side and more go through two convolutions, everything else through a hidden layer of 256. `centre` and
    `spread` are those of the values it was trained with.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        if len(shape) == 3 and min(shape[1:]) >= SMALLEST:
            channels, *size = shape
            height, width = (min(side, SIDE) for side in size)
            places = -(-height // 4) * -(-width // 4)
            shrink = [nn.AdaptiveAvgPool2d((height, width))] if max(size) > SIDE else []
            below: list[nn.Module] = [*shrink, nn.Conv2d(channels, 16, 3, 2, 1), nn.ReLU(),
                                      nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * places, FEATURES), nn.ReLU()]
        else:
            below = [nn.Flatten(), nn.Linear(prod(shape), 256), nn.ReLU(), nn.Linear(256, FEATURES), nn.ReLU()]
        self.below, self.head = nn.Sequential(*below), nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """[N, 64], none below 0."""
        found: Tensor = self.below((x - self.centre) / self.spread)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes]."""
        found: Tensor = self.head(self.features(x))
        return found


def train_classifier(x: Tensor, labels: Tensor, classes: int, seed: int, follow: Callable[[int, int], object]) -> Classifier:
    """One trained on samples [N, ...] with labels [N] by cross-entropy, on the CPU, the same for the same seed; seconds for 20,000 images.

    `follow` hears how many batches of how many are done. ValueError if there are no samples.
    """
    if not len(x):
        raise ValueError("a classifier needs samples")
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        model = Classifier(x.shape[1:], classes)
        model.centre, model.spread = x.mean(), x.std(correction=0).clamp(min=1e-6)
        optimizer = torch.optim.Adam(model.parameters(), RATE)
        whole, done = EPOCHS * -(-len(x) // BATCH), 0
        for _ in range(EPOCHS):
            for rows in torch.split(torch.randperm(len(x)), BATCH):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                done += 1
                follow(done, whole)
    return model.eval().requires_grad_(False)
