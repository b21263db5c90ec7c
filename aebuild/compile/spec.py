"""The spec: frozen parts in one canonical form."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from aebuild.lang.budget import Budget
from aebuild.lang.conditioning import Condition
from aebuild.lang.dataset import Dataset
from aebuild.lang.families import Corruption, Latent, Layer
from aebuild.lang.part import Part, knob
from aebuild.lang.tasks import Task
from aebuild.lang.terms import Bound, Likelihood, Term
from aebuild.lang.training import Average, Judge, Optimizer, PhasePart, Player

LONGEST_NAME = 100          # characters: a run's folder has a date besides, and disks take 255 bytes


def _name(text: str) -> str:
    if len(text) > LONGEST_NAME:
        raise ValueError(f"a name has at most {LONGEST_NAME} characters, not {len(text):,}")
    if not text or not all(c.isascii() and (c.isalnum() or c in "-_") for c in text):
        raise ValueError("a name that becomes a path has only letters, digits, - and _")
    return text


Name = Annotated[str, AfterValidator(_name)]
Column = Annotated[str, Field(min_length=1)]


class StageSpec(Part):
    """The hidden layers of a half or of a network, in order."""

    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "decoder: {steps: [conv: 4, conv: 2], seed: [3, 2]}")
    steps: list[Layer] = knob(..., "the layers, in order", affects="graph")
    seed: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=3)] | None = knob(
        None, "size of the grid (or length of the sequence) that a vector unfolds to", affects="graph")
    adapter: str | None = knob(None, "adapter to use where the compiler must insert one", affects="graph")
    skip: bool = knob(False, "add a skip from the encoder wherever a grid of equal size exists", affects="graph")


class DecoderRecipe(Part):
    """A decoder derived from the encoder."""

    family = "decoder"


class Mirror(DecoderRecipe):
    """The encoder's layers in reverse, with departures."""

    type: Literal["mirror"] = "mirror"
    example = ("encoder: [linear: 8, linear: 6]\n"
               "decoder: {type: mirror, widen: 2, deepen: 1}")
    widen: float = knob(1.0, "factor on every width", affects="graph", gt=0, le=1000)
    deepen: int = knob(0, "extra layers, copies of the first one without stride", affects="graph", ge=0)


class Head(Part):
    """A network on the code that predicts the label, or columns of a table; its term carries the head's name.

    A column of words is a category, judged by its cross-entropy; one of numbers is standardised and judged by its squared error. Such a
    column is no input then, unless `columns` names it. Where a cell is empty, or the label not known, nothing is learned.
    """

    example = ("heads: {digit: {from: encoder, predicts: label, network: [linear: 6]}}\n"
               "---\n"
               "data: {type: table, path: rows.csv, columns: [a, b, c]}\n"
               "latent: {type: continuous, dim: 2}\n"
               "heads: {future: {predicts: [d, kind]}}")
    source: Literal["latent", "encoder"] = Field(
        "latent", alias="from", description="what it reads: the code, or the encoder's features before the bottleneck",
        json_schema_extra={"affects": "graph"})
    predicts: Column | Annotated[list[Column], Field(min_length=1)] = knob(
        "label", "what it predicts: the data's label, a column of a table by name, or several", affects="graph")
    network: StageSpec = Field(default_factory=lambda: StageSpec(steps=[]), description="hidden layers before the output")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it predicts, none where it predicts the label."""
        return () if self.predicts == "label" else tuple(self.predicts if isinstance(self.predicts, list) else [self.predicts])


class Losses(Part):
    """The reconstruction's likelihood and the weights of all other named terms."""

    example = "losses: {reconstruction: {type: mse, weight: 2}, sparsity: {type: l1, weight: 0.1}}"
    foreign = {**dict.fromkeys(("likelihood", "recon", "recon_loss", "reconstruction_loss", "criterion", "loss_fn"), "reconstruction"),
               **dict.fromkeys(("sparse", "l1_penalty", "activity_regularizer"), "sparsity")}

    reconstruction: Likelihood = Field(
        default_factory=lambda: Likelihood.named("mse"), description="how a reconstruction is judged")
    bound: Bound = Field(default_factory=lambda: Bound.named("sum"), description="how the terms of a sample become its loss")
    terms: dict[str, Term] = Field(default_factory=dict, description="every other term by name")


class Train(Part):
    """How the model is trained."""

    example = ("train: {steps: 6, batch_size: 16, seed: 1, clip: 0.5}\n"
               "---\n"
               "data: {type: wine, limit: 50}\n"
               "train: {epochs: 8, patience: 2, batch_size: 20, optimizer: {lr: 0.3}}")
    foreign = {**dict.fromkeys(("num_epochs", "n_epochs", "max_epochs", "epoch"), "epochs"),
               **dict.fromkeys(("max_steps", "iterations", "n_steps", "num_steps"), "steps"),
               **dict.fromkeys(("batch", "bs", "batchsize"), "batch_size"),
               **dict.fromkeys(("grad_clip", "gradient_clip", "clip_grad_norm", "clipnorm", "max_grad_norm"), "clip"),
               **dict.fromkeys(("early_stopping", "early_stopping_patience", "early_stop", "stop_early"), "patience"),
               **dict.fromkeys(("random_state", "random_seed"), "seed"), "optim": "optimizer", "gpu": "cuda", "accelerator": "device"}

    epochs: int | None = knob(None, "passes over the training data; by default 20, or as 2,000 steps take", affects="training", ge=1)
    steps: int | None = knob(None, "optimiser steps instead of epochs", affects="training", ge=1)
    patience: int | None = knob(None, "epochs without a better validation score after which a phase ends; none: it never ends early",
                                affects="training", ge=1)
    batch_size: int = knob(128, "samples per step, over all devices together", affects="training", ge=1)
    seed: int = knob(42, "seed of initialisation, order and noise", affects="training", ge=0, lt=2**63)
    optimizer: Optimizer = Field(default_factory=lambda: Optimizer.named("adam"), description="one of torch's optimisers")
    clip: float | None = knob(None, "largest gradient norm", affects="gradient", gt=0)
    average: Average | None = Field(None, description="average the weights over the steps of a phase")
    judge: Judge | None = Field(None, description="the figure by which epochs are judged: which is best, and when patience runs out")
    keep: Literal["best", "last"] = knob("best", "which checkpoint is evaluated: best on validation, or last", affects="training")
    device: Literal["auto", "cpu", "cuda"] = knob("auto", "where to train; auto takes a GPU if there is one", affects="training")
    speed: Literal["auto", "exact"] = knob(
        "auto", "exact computes plainly in float32; auto measures and takes the fastest way that agrees with it", affects="training")
    recompute: list[Literal["encoder", "decoder"]] = knob(
        [], "halves whose inner outputs are computed again for the gradient instead of kept: less memory, more time", affects="training")
    players: dict[str, Player] = Field(default_factory=dict, description="options of single players")
    phases: list[PhasePart] = Field(
        default_factory=lambda: [PhasePart.named("main")], description="stretches of training, in order", min_length=1)


class Evaluate(Part):
    """What is done with the trained model."""

    example = "evaluate: {pictures: 3}"
    tasks: list[Task] = Field(default_factory=list, description="further questions to the trained model, beside the usual evaluation")
    pictures: int = knob(10, "originals, reconstructions and samples in the picture, each", affects="evaluation", ge=1, le=100)


class Spec(Part):
    """A whole spec."""

    example = ("name: small\n"
               "data: digits\n"
               "encoder: [linear: 8]\n"
               "latent: {type: continuous, dim: 3}")
    foreign = {"dataset": "data", "loss": "losses", "training": "train", "trainer": "train", "fit": "train", "noise": "corrupt",
               "corruption": "corrupt", "augment": "corrupt", "bottleneck": "latent", "code": "latent", "latent_space": "latent",
               "z": "latent", "model_name": "name", "base": "extends", "inherits": "extends", "head": "heads", "eval": "evaluate",
               **dict.fromkeys(("conditions", "conditioning", "cond", "given", "covariates"), "condition")}

    name: Name = Field("model", description="name of the model, used for its run directory")
    description: str = Field("", description="free text for readers")
    data: Dataset = Field(default_factory=lambda: Dataset.named("digits"), description="what to learn from")
    corrupt: list[Corruption] = Field(default_factory=list, description="changes of the input that the model must undo")
    encoder: StageSpec = Field(..., description="hidden layers from the data towards the code", examples=["[linear: 256]"])
    latent: Latent = Field(..., description="the code", examples=["{type: continuous, dim: 16}"])
    decoder: StageSpec | DecoderRecipe = Field(
        default_factory=Mirror.model_construct, description="hidden layers from the code back to the data")
    condition: dict[str, Condition] = Field(
        default_factory=dict, description="what is known of each sample, by name, and which networks are told")
    heads: dict[Name, Head] = Field(default_factory=dict, description="networks that predict labels from the code")
    losses: Losses = Field(default_factory=Losses.model_construct, description="likelihood and weights")
    train: Train = Field(default_factory=Train.model_construct, description="how to train")
    evaluate: Evaluate = Field(default_factory=Evaluate.model_construct, description="what to evaluate")
    budget: Budget | None = Field(None, description="what the model may cost")
    allow: dict[str, str] = Field(default_factory=dict, description="warnings to silence, each with a reason")
