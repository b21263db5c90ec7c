"""What a served run does with requests: read, computed by the model's thread, answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild import __version__
from aebuild.data.new_samples import paired
from aebuild.lang.conditioning import Reader
from aebuild.lang.diagnostics import AebuildError
from aebuild.lang.splits import Split
from aebuild.lang.values import Tokens
from aebuild.results.inference.codes import checked_codes, encode, reconstruct_batches, require
from aebuild.results.inference.fitted_arrays import read_fitted
from aebuild.results.inference.given import conditions_for
from aebuild.results.inference.passes import decoded, encoded
from aebuild.results.inference.sampling import FORMAT, sample_batches
from aebuild.results.inference.scorer import Scorer, scorer_of
from aebuild.results.inference.scoring import raw_scores, score_names, told_scores
from aebuild.serving.answers import Answers, codes_json, notes_json, scores_json
from aebuild.serving.batching import Job
from aebuild.serving.joined import alike, joined_data, parted, parted_codes, parted_scores
from aebuild.serving.limits import Limits
from aebuild.serving.problem import Problem, beyond
from aebuild.serving.reading import from_base64, from_files, from_values, in_memory
from aebuild.serving.requests import CodeRequest, Requests, SampleRequest

if TYPE_CHECKING:
    from aebuild.data.new_samples import NewData
    from aebuild.results.open_run import OpenRun
    from aebuild.serving.requests import Shown

READERS: dict[str, tuple[Reader, ...] | None] = {"encode": ("encoder", "prior"), "reconstruct": None, "score": None}
NEEDS = {"sample": "sample", "decode": "decode"}          # the operation of the model that an endpoint is refused with
OPERATIONS = ("encode", "decode", "reconstruct", "score", "sample")


@dataclass(frozen=True)
class Work:
    """A request that was understood: the job for the model's thread, and how its result is answered."""

    job: Job
    answer: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Upload:
    """An encoded image or sound that is a body by itself."""

    content: bytes
    media_type: str
    fit: bool = False
    form: Shown | None = None


class Service:
    """A run that is served. `refused` says why an endpoint is not there."""

    def __init__(self, run: OpenRun, limits: Limits, say: Callable[[str], None]) -> None:
        self.run, self.limits = run, limits
        self.requests, self.answers = Requests(run), Answers(run)
        self.refused = {name: run.model.refusals[needed] for name, needed in NEEDS.items() if needed in run.model.refusals}
        self._scorer: Scorer | None = None
        try:
            self._scorer = scorer_of(run, say)
        except AebuildError as error:
            self.refused["score"] = f"scores are calibrated on the run's own data: {error.diagnostics[0].message}"
        self.joins = placeless(run)

    def info(self) -> dict[str, Any]:
        """What the model is, takes and can do."""
        run, info, limits = self.run, self.run.info, self.limits
        kind = run.plan.latent.codes
        scorer = self._scorer
        return {"name": run.plan.spec.name, "aebuild": __version__, "weights": run.kept, "parameters": run.plan.params,
                "data": {"type": str(info.value), "shape": info.value.shape, "columns": info.columns, "units": info.detected,
                         "images": self.requests.images, "texts": self.requests.texts, "rows": self.requests.table},
                "target": {"type": str(info.target), "columns": info.target_columns or info.columns},
                "code": {"type": str(run.plan.latent.code), "entries": kind.classes if isinstance(kind, Tokens) else None},
                "conditions": [{"name": each.name, "kind": each.kind,
                                "words": (info.class_names or ()) if each.kind == "label" else each.words} for each in info.conditions],
                "operations": [name for name in OPERATIONS if name not in self.refused], "refused": self.refused,
                "scores": [] if scorer is None else [*scorer.names, *scorer.on_request], "forms": self.answers.forms,
                "batched": self.joins, "limits": {"body": limits.body, "samples": limits.samples, "queue": limits.queue,
                                                  "timeout": limits.timeout}}

    def work(self, operation: str, body: bytes | Upload) -> Work:
        """The work of a request; Problem or AebuildError for one that cannot be followed."""
        if operation in self.refused:
            require(self.run, NEEDS.get(operation, operation))
            raise Problem(422, self.refused[operation], "path")
        asked = body if isinstance(body, Upload) else self.requests.read(operation, body)
        if isinstance(asked, SampleRequest):
            return self._sampling(asked)
        if isinstance(asked, CodeRequest):
            return self._decoding(asked)
        data = self._read(operation, asked)
        self._check_count(len(data))          # windows overlap, so they may be many more than what was sent
        made: Work = getattr(self, f"_{operation}")(asked, in_memory(data))
        return made

    def _read(self, operation: str, asked: Any) -> NewData:
        readers = READERS[operation]
        if isinstance(asked, Upload):
            return from_files(self.run, [asked.content], asked.media_type, {}, readers, fit=asked.fit)
        images = getattr(asked, "images", None)
        if (images is None) == (asked.data is None):
            raise Problem(422, "either data or images are wanted", "body")
        self._check_count(len(asked.data if images is None else images))
        if images is None:
            return from_values(self.run, asked.data, asked.given, readers)
        if not images:
            raise Problem(422, "there are no images", "body.images")
        files, kind = from_base64(images)
        return from_files(self.run, files, kind, asked.given, readers, fit=asked.fit)

    def _check_count(self, count: int) -> None:
        if count > self.limits.samples:
            raise beyond(413, f"{count:,} samples are more than the {self.limits.samples:,} of one request", "send fewer at a time", "body")

    def _key(self, operation: str, data: NewData) -> Any:
        return (operation, alike(data)) if self.joins else None

    def _encode(self, asked: Any, data: NewData) -> Work:
        def compute(several: Sequence[NewData]) -> Sequence[Any]:
            return parted_codes(encode(self.run, joined_data(several)), [len(each) for each in several])

        return Work(Job(data, len(data), compute, self._key("encode", data)), lambda codes: codes_json(codes, data))

    def _reconstruct(self, asked: Any, data: NewData) -> Work:
        form = self.answers.chosen(asked.form)

        def compute(several: Sequence[NewData]) -> Sequence[Any]:
            return parted(np.concatenate(list(reconstruct_batches(self.run, joined_data(several)))), [len(each) for each in several])

        return Work(Job(data, len(data), compute, self._key("reconstruct", data)),
                    lambda made: self.answers.samples(made, form, data) | notes_json(data.notes))

    def _score(self, asked: Any, data: NewData) -> Work:
        scorer = self._scorer
        assert scorer is not None, "without one the endpoint is refused"
        paired(data)
        by = getattr(asked, "by", ["reconstruction"])
        score_names(scorer, by)

        def compute(several: Sequence[NewData]) -> Sequence[Any]:
            return parted_scores(raw_scores(self.run, scorer, joined_data(several).split), [len(each) for each in several])

        return Work(Job(data, len(data), compute, self._key("score", data)), lambda found: scores_json(told_scores(
            self.run, scorer, data, found, by, threshold=getattr(asked, "threshold", None), windows=getattr(asked, "windows", False))))

    def _decoding(self, asked: CodeRequest) -> Work:
        form = self.answers.chosen(asked.form)
        self._check_count(len(asked.codes))
        try:
            given = np.asarray(asked.codes)
        except ValueError as error:
            raise Problem(422, "the codes are lists of unequal lengths", "body.codes") from error
        codes = checked_codes(self.run, given)
        told = conditions_for(self.run, len(codes), asked.given, ("decoder",))

        def compute(several: Sequence[Any]) -> Sequence[Any]:
            import torch

            known = [conditions for _, conditions in several if conditions is not None]
            made = decoded(self.run, torch.cat([each for each, _ in several]), np.concatenate(known) if known else None)
            return parted(np.concatenate([batch.cpu().numpy() for batch in made]), [len(each) for each, _ in several])

        key = ("decode", str(codes.dtype)) if self.joins else None
        return Work(Job((codes, told), len(codes), compute, key), lambda made: self.answers.samples(made, form))

    def _sampling(self, asked: SampleRequest) -> Work:
        form = self.answers.chosen(asked.form)
        self._check_count(asked.count)
        if asked.prior != "own" and read_fitted(self.run, f"prior-{asked.prior}", FORMAT) is None:
            raise Problem(422, f"the run keeps no fitted prior {asked.prior}", "body.prior",
                          f"fit it once, where the server runs: aebuild sample RUN --prior {asked.prior}")
        told = conditions_for(self.run, asked.count, asked.given)

        def compute(several: Sequence[Any]) -> Sequence[Any]:
            batches = sample_batches(self.run, asked.count, prior=asked.prior, seed=asked.seed, conditions=told)
            return [np.concatenate(list(batches))]

        return Work(Job(None, asked.count, compute), lambda made: self.answers.samples(made, form))


def placeless(run: OpenRun) -> bool:
    """Whether what the model makes of a sample is the same at each place of a batch, so that requests may share one.

    It is not where noise is drawn anew for each place, as by a corruption that is always there. Found out on copies of one sample.
    """
    info, count = run.info, 4
    random = np.random.default_rng(0)
    if isinstance(info.value, Tokens):
        sample: Any = random.integers(0, info.value.classes, (1, *info.value.shape))
    else:
        sample = random.uniform(0.1, 0.9, (1, *info.value.shape)).astype(np.float32)
    beside: Mapping[str, Any] = {"conditions": np.zeros((count, info.condition_features), np.float32)} if info.conditions else {}
    lengths = np.full(count, info.value.places[0], np.int64) if info.ragged else None
    split = Split(np.repeat(sample, count, 0), lengths=lengths, **beside)
    for each in encoded(run, split):
        made = [each.value.cpu().numpy()]
        made.append(run.model.likelihood.mean(run.model.parameters_of(each.value, each.context)).detach().cpu().numpy())
    return all(np.allclose(array, array[:1], rtol=1e-4, atol=1e-5) for array in made)
