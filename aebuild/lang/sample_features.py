"""Features of samples that evaluation tasks compare: the data's own, those of a small classifier, or of a program in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.lang.regular_files import open_regular
from aebuild.lang.tasks import Trained, Unanswered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split

    Features = Callable[[NDArray[Any]], NDArray[Any]]       # samples [n, ...] to [n, F]

COMPONENTS = 64         # of data with more values
FITTED = 20_000         # training samples that components or a classifier are fitted to
LEAST = 10              # of a class, on average, for a classifier


def data_of(split: Split) -> NDArray[Any]:
    """What new samples of the model are compared with: the targets, [n, ...]."""
    return split.x if split.target is None else split.target


def of_data(trained: Trained) -> tuple[Features, tuple[str, ...]]:
    """The values themselves, or their principal components."""
    from math import prod

    from sklearn.decomposition import PCA

    values = prod(trained.plan.target.shape)
    train = trained.splits.train
    if values <= COMPONENTS:
        return lambda x: x.reshape(len(x), -1), ("features are the data's values",)
    fitted = data_of(train.thinned(min(len(train), FITTED)))
    model = PCA(min(COMPONENTS, len(fitted)), random_state=0).fit(fitted.reshape(len(fitted), -1))
    share = float(model.explained_variance_ratio_.sum())
    return (lambda x: model.transform(x.reshape(len(x), -1)),
            (f"features are the data's first {model.n_components_} principal components, {share:.1%} of their variance",))


def unlabelled(train: Split) -> str | None:
    """Why these labels make no classifier."""
    import numpy as np

    known = np.array([]) if train.labels is None else train.labels[train.labels >= 0]
    kinds = len(np.unique(known))
    if kinds < 2:
        return "the training data have no labels" if kinds == 0 else "all of the training data are of one class"
    return f"{kinds:,} classes of {len(known):,} samples are too many" if len(known) < LEAST * kinds else None


def of_classifier(trained: Trained) -> tuple[Features, tuple[str, ...]]:
    """Hidden values of a classifier, which the run keeps."""
    import numpy as np
    import torch

    from aebuild.modules.classifier import Classifier, train_classifier

    train, shape = trained.splits.train, trained.plan.target.shape
    assert train.labels is not None
    classes = int(train.labels.max()) + 1

    def fit() -> dict[str, NDArray[Any]]:
        rows = np.flatnonzero(train.labels >= 0)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), FITTED)).round().astype(np.int64)]
        some = train.taken(rows)
        assert some.labels is not None
        model = train_classifier(torch.from_numpy(data_of(some)), torch.from_numpy(some.labels), classes, 0, trained.follow)
        return {name: tensor.numpy() for name, tensor in model.state_dict().items()}

    kept = trained.fitted("classifier", "1", fit)
    model = Classifier(shape, classes).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in kept.items()})

    @torch.no_grad()
    def features(x: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([model.features(part).numpy() for part in torch.split(torch.from_numpy(x), 512)])

    return features, _known_right(trained, model, classes)


def _known_right(trained: Trained, model: Any, classes: int) -> tuple[str, ...]:
    """How often the classifier is right, which says what its features are worth."""
    import numpy as np
    import torch

    labels = trained.judged.labels
    rows = np.array([], np.int64) if labels is None else np.flatnonzero((labels >= 0) & (labels < classes))
    if labels is None or not len(rows):
        return ("features are those of a classifier, which the judged samples cannot try: they have no labels",)
    some, known = trained.judged.taken(rows[:FITTED]), labels[rows[:FITTED]]
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in torch.split(torch.from_numpy(data_of(some)), 512)]).numpy()
    right, common = float((found == known).mean()), float(np.bincount(known).max()) / len(found)
    told = f"features are those of a classifier that is right on {right:.1%} of the judged samples; the most frequent class is {common:.1%}"
    return (told, *(("its features mean little: `features: data` compares the data themselves",) if right <= common else ()))


def of_file(file: Path, wanted: str | None) -> tuple[Features, tuple[str, ...]]:
    """What a program gives whose hash is checked and told."""
    import torch

    from aebuild.modules.feature_programs import feature_program, program_features, sha256_of

    try:
        with open_regular(file) as stream:
            held = stream.read()
    except OSError as error:
        raise Unanswered(f"features: {file} cannot be read: {error.strerror or error}") from error
    digest = sha256_of(held)
    if wanted is not None and digest != wanted:
        raise Unanswered(f"features: {file} has SHA-256 {digest}, not {wanted}: it is another file than the one that was meant")
    try:
        program = feature_program(held, file.suffix)
    except ValueError as error:
        raise Unanswered(f"features: {file}: {error}") from error

    def features(x: NDArray[Any]) -> NDArray[Any]:
        try:
            return program_features(program, torch.from_numpy(x)).numpy()
        except ValueError as error:
            raise Unanswered(f"features: {file}: {error}") from error

    unheld = "" if wanted else "; write `sha256` to hold to it"
    return features, (f"features are from {file.name}, SHA-256 {digest}{unheld}",)
