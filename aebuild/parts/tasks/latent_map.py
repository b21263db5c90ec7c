"""Maps of the codes in two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, ScatterPlot, Table, Task, Trained, Unanswered
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split

Method = Literal["pca", "tsne", "umap"]
TITLES = {"pca": "principal components", "tsne": "t-SNE", "umap": "UMAP"}


class LatentMap(Task):
    """The codes drawn as points, and what their neighbourhoods and clusters know of data and labels.

    Neighbourhoods are measured twice: whether the code keeps those of the data, and whether each map keeps those of the code
    (trustworthiness and continuity, Venna and Kaski, 2001). With labels there are the share of a code's neighbours that are of its class,
    and how k-means finds the classes again. Maps are principal components, t-SNE (van der Maaten and Hinton, 2008), and UMAP (McInnes et
    al., 2018), which needs the extra `aebuild[umap]`. Distances in a map of t-SNE or UMAP mean little, neighbourhoods more.
    """

    type: Literal["latent_map"] = "latent_map"
    scalar = "limit"
    meanings: ClassVar[dict[str, str]] = {
        "trustworthiness": "whether neighbours of a code are neighbours in the data, at most 1; higher is better",
        "continuity": "whether neighbours in the data have neighbouring codes, at most 1; higher is better",
        **{f"{method}_{name}": f"the same of codes and points of the map by {title}; higher is better"
           for method, title in TITLES.items() for name in ("trustworthiness", "continuity")},
        "purity": "share of a code's nearest codes with its label; higher is better",
        "adjusted_rand": "agreement of k-means with the labels, 0 by chance, at most 1; higher is better",
        "mutual_information": "of k-means and the labels, 0 to 1; higher is better",
        "silhouette": "how apart the clusters of k-means are, -1 to 1; higher is better"}
    example: ClassVar[str] = """\
data: {type: digits, limit: 200}
evaluate: {tasks: [latent_map: {limit: 16, neighbours: 3, perplexity: 4, seed: 1, maps: [pca, tsne]}]}
"""
    maps: Annotated[list[Method], Field(min_length=1)] = knob(["pca", "tsne"], "how codes are drawn", affects="evaluation")
    limit: int = knob(2_000, "samples whose codes are looked at, evenly spaced in the judged split", affects="evaluation", ge=8, le=5_000)
    neighbours: int = knob(10, "nearest neighbours that are compared, and that UMAP joins", affects="evaluation", ge=2, le=100)
    perplexity: float = knob(30.0, "how many neighbours t-SNE gives weight to, or so", affects="evaluation", ge=2, le=200)
    seed: int = knob(0, "what k-means and the maps begin with", affects="evaluation", ge=0, le=2**31)

    def evaluate(self, trained: Trained) -> Answer:
        """One pass over the samples, then distances between all of them."""
        import numpy as np

        from aebuild.metrics.neighbourhoods import tied

        rows = np.linspace(0, len(trained.judged) - 1, min(self.limit, len(trained.judged))).round().astype(np.int64)
        some = trained.judged.taken(rows)
        self._enough(len(rows))
        codes = trained.code_values(some).reshape(len(rows), -1).astype(np.float64)
        _sound(codes)
        data = None if isinstance(trained.plan.input, Tokens) else some.x.reshape(len(rows), -1)
        figures, notes = self._kept("", data, codes) if data is not None else {}, []
        if data is None:
            notes.append("tokens have no neighbourhoods that a code could keep")
        equal = tied(codes, self.neighbours)
        if equal:
            notes.append(f"of {equal:,} of the {len(codes):,} codes more than {self.neighbours} others are equally near: figures of "
                         "neighbours are means over all ways to choose among those")
        rows_of_labels, more, told = self._labelled(codes, data, some)
        figures, plots = figures | more, []
        labels = some.labels if more else None
        for number, method in enumerate(dict.fromkeys(self.maps)):
            trained.follow(number, len(self.maps))
            if method == "tsne" and len(codes) <= self.perplexity:
                notes.append(f"no t-SNE: a perplexity of {self.perplexity:g} needs more samples than the {len(codes):,} that are looked at")
                continue
            points = self._map(method, codes)
            figures |= self._kept(f"{method}_", codes, points)
            plots.append(ScatterPlot(TITLES[method], points.astype(np.float32), labels, trained.splits.class_names, rows))
        order = [name for name in self.meanings if name in figures]
        return Answer({name: figures[name] for name in order}, (*plots, *rows_of_labels), (*notes, *told))

    def _enough(self, number: int) -> None:
        if number <= 2 * self.neighbours:
            raise Unanswered(f"{self.neighbours} neighbours need more than {2 * self.neighbours} samples, and {number:,} are looked at")

    def _kept(self, name: str, original: NDArray[Any], mapped: NDArray[Any]) -> dict[str, float]:
        """Whether the neighbourhoods of one space are kept by another."""
        from aebuild.metrics import neighbourhoods as measures

        return {f"{name}trustworthiness": measures.trustworthiness(original, mapped, self.neighbours),
                f"{name}continuity": measures.continuity(original, mapped, self.neighbours)}

    def _labelled(self, codes: NDArray[Any], data: NDArray[Any] | None, some: Split
                  ) -> tuple[tuple[Table, ...], dict[str, float], tuple[str, ...]]:
        """The table and figures that labels allow, of the samples that have one, and why there are no more."""
        import numpy as np

        from aebuild.metrics import neighbourhoods as measures

        known = np.zeros(len(codes), bool) if some.labels is None else some.labels >= 0
        if some.labels is None or not known.any():
            return (), {}, ("the samples have no labels, so there are no figures of classes",)
        labels, codes = some.labels[known], codes[known]
        if len(np.unique(labels)) < 2:
            return (), {}, ("all samples are of one class, so there are no figures of classes",)
        if len(labels) <= self.neighbours:
            return (), {}, (f"{len(labels):,} samples with labels are too few for {self.neighbours} neighbours",)
        figures = {"purity": measures.purity(codes, labels, self.neighbours)}
        notes: tuple[str, ...] = ()
        rows: list[tuple[str, float]] = [("codes", figures["purity"])]
        if data is not None:
            rows.append(("data", measures.purity(data[known], labels, self.neighbours)))
        rows.append(("by chance", measures.purity_by_chance(labels)))
        try:
            figures |= measures.cluster_figures(codes, labels, self.seed)
        except ValueError as error:
            notes = (f"no clusters: {error}",)
        return (Table(f"{self.neighbours} neighbours of one class", ("among", "share"), tuple(rows)),), figures, notes

    def _map(self, method: Method, codes: NDArray[Any]) -> NDArray[Any]:
        """Codes [n, D] as points [n, 2]; one value of a code is drawn along the first axis."""
        import numpy as np

        match method:
            case "pca":
                from sklearn.decomposition import PCA

                found = PCA(min(2, codes.shape[1]), random_state=self.seed).fit_transform(codes)
                return found if found.shape[1] == 2 else np.concatenate([found, np.zeros_like(found)], 1)
            case "tsne":
                from sklearn.manifold import TSNE

                start: Any = "pca" if codes.shape[1] > 1 else "random"
                return np.asarray(TSNE(perplexity=self.perplexity, init=start, random_state=self.seed).fit_transform(codes))
            case "umap":
                return _umap(codes, self.neighbours, self.seed)


def _sound(codes: NDArray[Any]) -> None:
    import numpy as np

    if not np.isfinite(codes).all():
        raise Unanswered("some codes have values that are no numbers")
    if not np.ptp(codes, axis=0).any():
        raise Unanswered("all codes are the same, so there is nothing to map: the model has collapsed")


def _umap(codes: NDArray[Any], neighbours: int, seed: int) -> NDArray[Any]:
    import warnings

    import numpy as np

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")          # of its own libraries
            from umap import UMAP
    except ImportError as error:
        raise Unanswered('UMAP needs the package umap-learn, which is not installed: pip install "aebuild[umap]"') from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")              # that one thread is used, and of points that lie apart from all others
        return np.asarray(UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(codes))
