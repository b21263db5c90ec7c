"""The live table, the plain lines, and how numbers are written."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from aebuild.trainer.profiling.timers import Timers
from aebuild.trainer.progress.choose import choose_display
from aebuild.trainer.progress.display import Ending, EpochReport, Heading, Quiet, Status
from aebuild.trainer.progress.formatting import duration, memory, number, percents
from aebuild.trainer.progress.json_lines import JsonLines
from aebuild.trainer.progress.live_table import LiveDisplay, Screen
from aebuild.trainer.progress.plain_lines import PlainDisplay

HEADING = Heading("[/x] vqvae", "digits", "CPU, 2 threads", "runs/" + "long-" * 30 + "20260102-030405")
STATUS = Status("main", 1, 2, 3, 10, 812, 2350, 812, 4700, 12345.6, 42.4, {"loss": 112.351, "reconstruction": 110.11, "kl": 2.2411},
                {"loss": 114.2, "reconstruction": 112.0, "kl": 2.2, "perplexity": 301.9}, 2, 734003200, 0.234)
MANY = {"loss": -1.23e-123, "reconstruction": 1e9, "codebook": 0.1, "commitment": 1.0, "sparsity": 2.0, "contrastive": 3.0,
        "a_head_with_a_name_longer_than_any_terminal_should_have_to_show": 4.0}


def drawn(status: Status | None, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width)
    console.print(Screen(HEADING, status), end="")
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_live_display_says_all_and_escapes_nothing_it_should_not() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=True, color_system=None)
    display = LiveDisplay(console)
    display.start(HEADING)
    display.note("[bold]a note[/bold]")
    display.epoch(EpochReport(STATUS, True, last=True))
    display.stop()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("[/x] vqvae on digits", "20260102-030405", "[bold]a note[/bold]", "epoch  3/10", "step   812/2,350", "12,346 samples/s",
                 "0:42 left", "700 MiB", "utilisation 23 %", "best so far: epoch 2", "reconstruction", "110.11", "112.00", "301.90"):
        assert part in text


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("status", [None, STATUS, replace(STATUS, train=MANY, validation=MANY, phase="greedy.encoder.12")],
                         ids=["before", "usual", "much"])
def test_no_line_is_wider_than_the_terminal_or_broken(status: Status | None, width: int) -> None:
    lines = drawn(status, width)
    assert max(map(cell_len, lines)) <= width
    names = dict.fromkeys([*status.train, *status.validation]) if status else []
    assert len(lines) == (2 if status is None else 7 + len(names))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_jumps_as_numbers_grow(width: int) -> None:
    """Every column stays where it is and the height stays the same, from the first look to the last."""
    first = replace(STATUS, epoch=0, step=1, speed=9.0, left=None, validation={}, best=None, utilisation=None, train=STATUS.validation)
    last = replace(first, epoch=10, step=2350, speed=123456.0, left=7205.0, validation=STATUS.validation, best=9, utilisation=0.5)
    early, late = drawn(first, width), drawn(last, width)
    assert len(early) == len(late)
    for mark in ("epoch", "samples/s", "700 MiB", "train", "validation", "112.00", "/2,350"):
        a, b = (next(line.find(mark) for line in lines if mark in line) for lines in (early, late))
        assert a == b, mark


def test_the_form_is_chosen(capfd: pytest.CaptureFixture[str]) -> None:
    kinds = {"auto": PlainDisplay, "plain": PlainDisplay, "live": LiveDisplay, "json": JsonLines, "none": Quiet}
    assert all(type(choose_display(form)) is kind for form, kind in kinds.items())


def test_plain_lines_are_throttled_but_the_last_epoch_is_told() -> None:
    console = Console(file=StringIO(), soft_wrap=True, highlight=False, width=80)
    display = PlainDisplay(console, every=60)
    display.start(Heading("vqvae", "digits", "CPU", "runs/x"))
    for last in (False, False, True):
        display.epoch(EpochReport(STATUS, False, last=last))
    display.end(Ending("best", 2, 1.0, 3, {}, "runs/x", "p.png", (), {}, "1:23 in all: training 100 %"))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[1:] == [lines[1]] * 2 + ["1:23 in all: training 100 %"]
    assert lines[1] == ("main (1/2)  epoch 3/10  loss 112.35  reconstruction 110.11  kl 2.241  | validation loss 114.20  "
                        "reconstruction 112.00  kl 2.200  perplexity 301.90  | 12,346 samples/s  0:42 left  700 MiB  utilisation 23 %")


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.0000"), (0.5, "0.5000"), (1.5, "1.500"), (123.456, "123.46"), (1234.5, "1,234.5"),
                                             (1e-5, "1e-05"), (-2e7, "-2e+07")])
def test_numbers_read_well(value: float, text: str) -> None:
    assert number(value) == text


def test_durations_and_sizes_read_well() -> None:
    assert [duration(s) for s in (0, 59.6, 3600, 3725)] == ["0:00", "1:00", "1:00:00", "1:02:05"]
    assert [memory(size) for size in (0, 1023, 1536, 700 << 20, 11 << 30, 5 << 50)] == \
        ["0 B", "1,023 B", "1.50 KiB", "700 MiB", "11.0 GiB", "5,120 TiB"]


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=12))
def test_percents_add_up_to_a_hundred(parts: dict[str, float]) -> None:
    rounded = percents(parts)
    whole = sum(parts.values())
    assert sum(rounded.values()) == (100 if whole else 0)
    assert all(abs(share - 100 * parts[name] / whole) < 1 + 1e-6 for name, share in rounded.items())


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_every_second_is_charged_to_one_part() -> None:
    clock = Clock()
    timers = Timers(clock)
    clock.now += 1
    with timers.of("training"):
        clock.now += 10
        with timers.of("saving"):
            clock.now += 3
        clock.now += 10
        assert timers.seconds("training") == 20
    saving = timers.of("saving")
    saving.__enter__()
    clock.now += 4
    assert not saving.__exit__(KeyError, KeyError(), None)
    clock.now += 2
    assert timers.spent() == {"training": 20, "saving": 7, "other": 3}
    assert str(timers) == "0:30 in all: training 67 %, saving 23 %, other 10 %"


@given(st.lists(st.tuples(st.sampled_from(["training", "saving", "other"]), st.integers(0, 1000)), max_size=30))
def test_the_parts_add_up_to_the_wall_time(turns: list[tuple[str, int]]) -> None:
    clock = Clock()
    timers = Timers(clock)
    for part, seconds in turns:
        timers.turn(part)
        clock.now += seconds
    assert sum(timers.spent().values()) == clock.now - 100


def test_what_is_done_beside_training_is_said() -> None:
    out = StringIO()
    display = LiveDisplay(Console(file=out, force_terminal=True, width=60))
    display.busy("loading data")
    display.start(Heading("vqvae", "digits", "CPU", "runs/x"))
    display.busy("choosing how to compute")
    display.stop()
    display.busy("drawing the picture")
    assert [out.getvalue().count(text) > 0 for text in ("loading data ...", "choosing how to compute ...", "drawing the picture ...")] == [True] * 3


def test_how_far_it_is_is_said_in_every_form(capfd: pytest.CaptureFixture[str]) -> None:
    shown, lines = StringIO(), StringIO()
    live, plain = LiveDisplay(Console(file=shown, force_terminal=True, width=60)), PlainDisplay(Console(file=lines, width=60), within=0.0)
    for display in (live, plain, JsonLines(1)):
        display.busy("evaluating the model", 3, 1_000)
        display.busy("evaluating the model", 4, 1_000)
        display.stop()
    assert all("evaluating the model, 4 of 1,000" in out.getvalue() for out in (shown, lines))
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(event["event"], event["done"], event["whole"]) for event in events] == [("busy", 3, 1_000), ("busy", 4, 1_000)]
