"""A folder of recordings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from aebuild.data.audio import UNFIT_SOUND, Heard, Recordings, Sounds, listen
from aebuild.data.class_folders import Listing, list_files
from aebuild.data.errors import blamed, fault, shown
from aebuild.data.formats.sound import RECORDINGS
from aebuild.data.probe import Outline, by_part, declared, describe, plural
from aebuild.data.spectrogram import Spectrogram
from aebuild.lang.dataset import DataInfo, Divided, OnDisk, OwnLabels, Sampled, Streamable, Suggestion, Where
from aebuild.lang.part import knob
from aebuild.lang.samples import Form
from aebuild.lang.values import Grid, Value, elements

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

FOUND = {"rate", "length", "kind", "window", "hop", "mels"}      # what a run keeps of its reading
BOUNDS = (-1.0, 1.0)      # of a waveform
SECONDS = 0.032           # of a window where none is written


class Audio(Sampled, Divided, OwnLabels, Streamable, OnDisk):
    """A folder of WAV, FLAC or OGG recordings, or of one folder a class; either may stand under train and test.

    The mean of all channels, at one rate and of one length: cut at the end, or filled up with silence.
    """

    type: Literal["audio"] = "audio"
    example = ("data: {type: audio, path: calls, limit: 12, labels: 6, classes: 2, rate: 400, length: 120}\n"
               "---\n"
               "data: {type: audio, path: calls, as: spectrogram, length: 0.2, mels: 4, window: 32, hop: 16}\n"
               "---\n"
               "data: {type: audio, path: calls, shape: [1, 160], length: 160, rate: 800}")
    also = ("sound", "wav", "speech", "recordings", "audio_folder")
    kind: Literal["waveform", "spectrogram"] = Field(
        "waveform", alias="as", description="what a sample is: a waveform, or its power in decibels over mel bands and time",
        json_schema_extra={"affects": "data"})
    rate: int | None = knob(
        None, "samples a second, to which recordings are brought (default: that of the first one)", affects="data", ge=1)
    length: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0)] | None = knob(
        None, "length of a sample: a whole number counts samples, one with a point seconds (default: the longest recording's)",
        affects="data")
    mels: int | None = knob(None, "mel bands of a spectrogram (default: 64)", affects="data", ge=1)
    window: int | None = knob(
        None, f"samples that a spectrogram looks at at once (default: the largest power of 2 within {SECONDS:g} s)", affects="data",
        ge=2)
    hop: int | None = knob(None, "samples from one window to the next (default: a quarter of the window)", affects="data", ge=1)

    def type_of(self, shape: tuple[int, ...]) -> Value:
        """[1, L] a waveform, [1, mels, frames] a spectrogram."""
        return Grid(shape[0], shape[1:])

    def usual_scale(self, value: Value) -> str:
        """Waveforms lie in [-1, 1] already; decibels are standardised."""
        return "signed" if self.kind == "waveform" else "standard"

    def probe(self, where: Where) -> DataInfo:
        """Names and headers of the recordings; of the first ones where rate and length are written."""
        self._check()
        if self.shape is not None:
            return declared(self, bounds=None if self._made(1, 2) else BOUNDS, labelled=self.classes is not None)
        with blamed(self, "path"):
            listing, heard = self._listen(where)
            return describe(self, self._outline(where, listing, heard))

    def read(self, where: Where) -> Raw:
        """Waveforms [n, 1, L] or spectrograms [n, 1, mels, frames]; only recordings that are used are decoded."""
        from aebuild.data.raw_samples import Raw
        from aebuild.data.streamed import sentence, streams

        with blamed(self, "path"):
            self._check()
            listing, heard = self._listen(where)
            outline = self._outline(where, listing, heard)
            size = 4 * sum(map(len, listing.files.values())) * elements(outline.value)
            streamed = streams(self, size)
            if streamed:
                outline = outline.told(sentence(self, size))
            x = {part: Recordings(files, heard.rate, heard.length, self._made(heard.rate, heard.length))
                 for part, files in listing.files.items()}
            return Raw(outline, x, listing.labels(), streamed=streamed, beside=partial(listing.below, where.base / self.path))

    def suggestion(self, where: Where) -> Suggestion:
        """Spectrograms."""
        return Suggestion({"as": "spectrogram"}, {"as": "the power over pitch and time, as an ear hears it: a first model of it learns far "
                                                        "more than one of waveforms, and it is brought back to sound"})

    def fixed(self, info: DataInfo) -> Self:
        """The same rate, length and spectrogram."""
        return self.but(**{name: value for name, value in info.found.items() if name in FOUND})

    def form(self, info: DataInfo) -> Form | None:
        """WAV files."""
        known = self.fixed(info)
        if known.rate is None or not isinstance(known.length, int):
            return None
        return Sounds(known.rate, known._made(known.rate, known.length))

    def _check(self) -> None:
        """Refuses the options of spectrograms where there are none."""
        if self.kind == "spectrogram":
            return
        for name in ("mels", "window", "hop"):
            if getattr(self, name) is not None:
                raise fault(UNFIT_SOUND, f"`{name}` is for spectrograms", "as: spectrogram" if "kind" not in self._origin.fields else
                            f"remove {name}", part=self, at=(name,))

    def _listen(self, where: Where) -> tuple[Listing, Heard]:
        listing = list_files(where.base / self.path, RECORDINGS, self.path)
        files = [file for found in listing.files.values() for file in found]
        if not isinstance(self.length, float):
            return listing, listen(files, self.rate, self.length)
        rate = self.rate or listen(files[:1], None, 1).rate
        return listing, listen(files, self.rate, max(1, round(self.length * rate)))

    def _made(self, rate: int, length: int) -> Spectrogram | None:
        """How a waveform becomes a spectrogram; None where it stays one."""
        if self.kind == "waveform":
            return None
        window = self.window or 2 ** max(3, round(rate * SECONDS).bit_length() - 1)
        return Spectrogram(rate, length, window, self.hop or max(1, window // 4), self.mels or 64)

    def _outline(self, where: Where, listing: Listing, heard: Heard) -> Outline:
        made, names = self._made(heard.rate, heard.length), listing.names
        if made is not None:
            self._fits(made)
        value = Grid(1, (heard.length,) if made is None else (made.mels, made.frames))
        counts: dict[str, int | None] = {part: len(files) for part, files in listing.files.items()}
        sentence = (f"{shown(where.base / self.path)}: {by_part(counts)} recordings of {heard.length / heard.rate:.3g} s at {heard.rate:,} "
                    f"samples a second, read as {value}, " + (f"{plural(len(names), 'class')}, one a folder" if names else "no classes")
                    + (f"; passed over: {plural(listing.others, 'other file')}" if listing.others else ""))
        found = {"rate": heard.rate, "length": heard.length, "kind": self.kind,
                 **({} if made is None else {"window": made.window, "hop": made.hop, "mels": made.mels})}
        return Outline(value, counts, sentence, BOUNDS if made is None else None, labelled=names is not None, class_names=names,
                       found=found, notes=(*listing.notes, *heard.notes))

    def _fits(self, made: Spectrogram) -> None:
        """Refuses a spectrogram that cannot be made."""
        if made.hop > made.window // 2:
            raise fault(UNFIT_SOUND, f"a hop of {made.hop:,} is more than half of the window of {made.window:,}",
                        f"hop: {made.window // 2}", part=self, at=("hop", "window"))
        if made.length < made.window:
            raise fault(UNFIT_SOUND, f"the samples have {made.length:,} places, fewer than the window of {made.window:,}",
                        f"window: {2 ** (made.length.bit_length() - 1)}" if made.length > 3 else None, part=self, at=("window", "length"))
        if made.mels > made.window // 2 + 1 or made.deaf:
            raise fault(UNFIT_SOUND, f"{made.mels:,} mel bands are too many for a window of {made.window:,}: some hold no frequency of it",
                        f"mels: {fitting_mels(made)}", part=self, at=("mels", "window", "kind"))


def fitting_mels(made: Spectrogram) -> int:
    """The most bands that all hear something."""
    tried = range(min(made.mels, made.window // 2 + 1), 0, -1)
    return next((mels for mels in tried if not Spectrogram(made.rate, made.length, made.window, made.hop, mels).deaf), 1)
