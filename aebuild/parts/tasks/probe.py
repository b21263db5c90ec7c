"""How well classes can be told from the code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, Table, Task, Trained, Unanswered
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.samples import DataInfo
    from aebuild.lang.splits import Split
    from aebuild.metrics.classifiers import Fitted

MOST_VALUES = 1 << 25       # numbers of the codes that the classifiers of all labels are fitted to
FEW, ALL = "few labels", "all labels"
Coded = tuple["NDArray[Any]", "NDArray[Any]"]         # codes [n, d] and classes [n]


class Probe(Task):
    """Classifiers on frozen codes, with few labels and with all: what the code knows of classes that no training told it.

    `linear` follows the autoencoder bake-off (tilman151/ae_bakeoff, 2020): a linear layer on the code, of a variational latent a draw, of a
    codebook its entries, trained on the first labelled samples, stopped by the accuracy on validation samples. Twenty epochs end before
    codes of a small range are learned, so a logistic regression stands beside it that ran to its end. The same encoder with fresh weights,
    frozen or trained on those labels, and classifiers on the data themselves say what the training without labels was worth.
    """

    type: Literal["probe"] = "probe"
    scalar = "labels"
    meanings: ClassVar[dict[str, str]] = {
        "linear": "accuracy of a linear layer on the code, trained for few epochs on few labels; higher is better",
        "converged": "accuracy of a logistic regression on the code, few labels; higher is better",
        "knn": "accuracy by the nearest codes, few labels; higher is better",
        "converged_all": "accuracy of a logistic regression on the code, all labels; higher is better",
        "knn_all": "accuracy by the nearest codes, all labels; higher is better",
        "untrained": "accuracy of a linear layer on the code of the same encoder with fresh weights, to be beaten; higher is better",
        "from_scratch": "accuracy of that encoder trained on the few labels too, to be beaten; higher is better",
        "raw": "accuracy of a logistic regression on the data themselves, few labels, to be beaten; higher is better",
        "raw_knn": "accuracy by the nearest samples, few labels, to be beaten; higher is better",
        "chance": "share of the commonest class; neither is better"}
    example: ClassVar[str] = """\
data: {type: digits, limit: 60}
evaluate: {tasks: [probe: {labels: 30, neighbours: 2, epochs: 2}]}
"""
    labels: int = knob(550, "the first so many labelled training samples are the few labels", affects="evaluation", ge=2)
    neighbours: int = knob(5, "nearest samples whose commonest class is taken", affects="evaluation", ge=1)
    epochs: int = knob(20, "passes over the few labels at most, of the linear layer and of the encoder from scratch", affects="evaluation",
                       ge=1, le=100_000)

    def check(self, info: DataInfo) -> str | None:
        """Labels of more than one class."""
        if not info.labelled:
            return "these data have no labels"
        return None if info.classes is None or info.classes > 1 else "all samples are of one class"

    def evaluate(self, trained: Trained) -> Answer:
        """The accuracies on the judged split, with their intervals in a table."""
        import numpy as np

        data = _Labelled(trained)
        few, found = data.first(self.labels), _Found(data.judged.classes)
        coded, judged = data.coded(few), data.coded(data.judged)
        held_out = None if data.held_out is None else data.coded(data.held_out)
        found.add("linear", FEW, len(few), _linear(coded, held_out, judged, data.count, self.epochs))
        self._told(found, "", FEW, coded, judged[0])
        whole = data.all(coded[0].shape[1])
        if whole is not None and data.known > len(few):
            self._told(found, "_all", ALL if len(whole) == data.known else "some of the labels", data.coded(whole), judged[0])
        else:
            found.notes.append(f"only {data.known:,} training samples have a known label, so there is nothing to tell of more labels")
        for name, classes in _fresh(trained, data, few, self.epochs):
            found.add(name, FEW, len(few), classes)
        if not isinstance(trained.plan.input, Tokens):
            self._raw(found, few, data.judged)
        figures = {**found.figures, "chance": float(np.bincount(found.wanted).max() / len(found.wanted))}
        table = Table("accuracy", ("classifier", "fitted to", "samples", "accuracy", "low", "high"), tuple(found.rows))
        told = trained.plan.spec.condition.get("label")
        if told is not None and "encoder" in told.into:
            found.notes.append("the encoder is told the label, so codes may hold what they were told: "
                               "these figures do not say what it finds out by itself")
        return Answer(figures, (table,), (*data.notes(few, self.labels), *found.notes))

    def _raw(self, found: _Found, few: _Known, judged: _Known) -> None:
        """The same classifiers on the data themselves."""
        import numpy as np

        from aebuild.metrics import classifiers

        rows, raw = (np.concatenate(list(known.split.flat())) for known in (few, judged))
        found.fitted("raw", FEW, len(few), classifiers.converged(rows, few.classes), raw)
        found.fitted("raw_knn", FEW, len(few), classifiers.nearest(rows, few.classes, self.neighbours), raw)

    def _told(self, found: _Found, ending: str, name: str, coded: Coded, judged: NDArray[Any]) -> None:
        """The classifiers that come to their end."""
        from aebuild.metrics import classifiers

        found.fitted(f"converged{ending}", name, len(coded[0]), classifiers.converged(*coded), judged)
        found.fitted(f"knn{ending}", name, len(coded[0]), classifiers.nearest(*coded, self.neighbours), judged)


@dataclass
class _Found:
    """What is known of each classifier."""

    wanted: NDArray[Any]
    figures: dict[str, float] = field(default_factory=dict)
    rows: list[tuple[str | int | float, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, fitted: str, samples: int, classes: NDArray[Any]) -> None:
        """The classes that it gives the judged samples."""
        from aebuild.metrics.classifiers import share_right

        accuracy, low, high = share_right(classes, self.wanted)
        self.figures[name] = accuracy
        self.rows.append((name, fitted, samples, accuracy, low, high))

    def fitted(self, name: str, labels: str, samples: int, classifier: Fitted, judged: NDArray[Any]) -> None:
        """What a classifier gives the judged samples [n, d], and whether its fit came to its end."""
        self.add(name, labels, samples, classifier.classes_of(judged))
        if not classifier.ended:
            self.notes.append(f"{name} did not converge: it could do better")


@dataclass(frozen=True, eq=False)
class _Known:
    """Samples with a known class each, [n]."""

    split: Split
    classes: NDArray[Any]

    def __len__(self) -> int:
        return len(self.classes)


class _Labelled:
    """The labelled samples of a trained model's data."""

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        judged, held_back = _known(trained.judged), trained.splits.held_back
        if judged is None:
            raise Unanswered("the samples that are judged have no labels")
        self.judged, self.train = judged, _known(trained.splits.train)
        self.held_out = None if held_back is None else _known(held_back)
        self.known = 0 if self.train is None else len(self.train)
        self.count = max(len(trained.splits.class_names), int(self.judged.classes.max()) + 1)

    def first(self, count: int) -> _Known:
        """The first labelled training samples; `Unanswered` where they cannot teach."""
        import numpy as np

        classes = 2 if self.train is None else max(2, len(np.unique(self.train.classes)))
        if self.train is None or min(count, self.known) < classes:
            raise Unanswered(f"{min(count, self.known):,} labelled training samples are fewer than the {classes} classes; `labels` says "
                             "how many are taken, and `data.labels` how many are known")
        few = self.train.classes[:count]
        if len(np.unique(few)) < 2:
            raise Unanswered(f"the first {len(few):,} labelled training samples are all of one class")
        return _Known(self.train.split.taken(np.arange(len(few))), few)

    def all(self, width: int) -> _Known | None:
        """All labelled training samples, or as many of them, evenly spaced, as codes of this width leave room for."""
        import numpy as np

        most = max(1, MOST_VALUES // width)
        if self.train is None or self.known <= most:
            return self.train
        rows = np.linspace(0, self.known - 1, most).round().astype(np.int64)
        return _Known(self.train.split.taken(rows), self.train.classes[rows])

    def coded(self, known: _Known) -> Coded:
        """Codes as the decoder gets them, [n, d], and classes."""
        import numpy as np

        codes, labels = [], []
        for outputs in self.trained.passes(known.split):
            codes.append(outputs.code.value.flatten(1).float().cpu().numpy())
            labels.append(outputs.labels.cpu().numpy())          # of samples on disk in the order of this pass
        found = np.concatenate(codes)
        if not np.isfinite(found).all():
            raise Unanswered("some codes are no numbers")
        return found, np.concatenate(labels)

    def notes(self, few: _Known, asked: int) -> Iterator[str]:
        """What the accuracies do not tell."""
        import numpy as np

        if len(few) < asked:
            yield f"{asked:,} few labels were asked for, and {len(few):,} are known"
        missing = self.count - len(np.unique(few.classes))
        if missing:
            yield f"{missing} of the {self.count} classes are not among the first {len(few):,} labels, so nothing can find them"
        if self.held_out is None:
            yield "without labelled validation samples the last epoch of the linear layer is taken instead of the best"
        if not len(self.trained.splits.test) and not len(self.trained.splits.validation):
            yield "training samples are judged, for there are no others: these accuracies are not those of new samples"
        if len(self.judged) < len(self.trained.judged):
            yield f"{len(self.trained.judged) - len(self.judged):,} samples without a known label are not judged"


def _known(split: Split) -> _Known | None:
    """The samples with a known label; None if there are none."""
    import numpy as np

    labels = split.labels
    rows = np.zeros(0, np.int64) if labels is None else np.flatnonzero(labels >= 0)
    if labels is None or not len(rows):
        return None
    return _Known(split, labels) if len(rows) == len(split) else _Known(split.taken(rows), labels[rows])


def _linear(few: Coded, held_out: Coded | None, judged: Coded, count: int, epochs: int) -> NDArray[Any]:
    """The classes that a linear layer on frozen codes gives."""
    import torch
    from torch import nn

    from aebuild.metrics.classifiers import Labelled, predicted, train_by_protocol

    first, second, third = (None if each is None else Labelled([torch.from_numpy(each[0])], torch.from_numpy(each[1]))
                            for each in (few, held_out, judged))
    assert first is not None and third is not None
    return predicted(train_by_protocol(nn.Identity(), judged[0].shape[1], count, first, second, epochs), third)


def _told(split: Split) -> dict[str, NDArray[Any]]:
    """What a pass knows of samples beside their values, by its name in a batch."""
    held: dict[str, NDArray[Any]] = {name: split.beside[name] for name in ("lengths", "conditions", "mask") if name in split.beside}
    return held if split.target is None else held | {"target": split.target}


def _fresh(trained: Trained, data: _Labelled, few: _Known, epochs: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """The classes that the same encoder gives with fresh weights: frozen below a linear layer, and trained with it on the few labels."""
    import torch

    from aebuild.metrics.classifiers import Labelled, encoded, predicted, train_by_protocol
    from aebuild.modules.randomness import random_modules, reseed
    from aebuild.modules.supervised_encoder import SupervisedEncoder

    seed = trained.plan.spec.train.seed
    encoder = SupervisedEncoder(trained.untrained(seed), tuple(_told(few.split)))
    device, randoms = next(encoder.parameters()).device, random_modules(encoder)

    def tensors(known: _Known) -> Labelled:
        inputs = [known.split.x, *_told(known.split).values()]
        return Labelled([torch.from_numpy(each).to(device) for each in inputs], torch.from_numpy(known.classes).to(device))

    def begin(tick: int) -> None:
        reseed(randoms, seed, tick)

    def frozen(known: _Known) -> Coded:
        return encoded(encoder, tensors(known), begin), known.classes

    judged, held_out = frozen(data.judged), data.held_out
    yield "untrained", _linear(frozen(few), None if held_out is None else frozen(held_out), judged, data.count, epochs)
    stopping = None if held_out is None else tensors(held_out)
    network = train_by_protocol(encoder, judged[0].shape[1], data.count, tensors(few), stopping, epochs, begin=begin)
    yield "from_scratch", predicted(network, tensors(data.judged), begin)
