"""`aebuild bakeoff`: matched sizes, tests between seeds, a comparison that is stopped and gone on with, failures, refusals."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from command_line import called
from in_this_process import InThisProcess
from rich.console import Console
from scipy import stats
from stopping import StopAt

from aebuild.lang.diagnostics import SpecError, UsageError
from aebuild.results.comparing.bakeoff import Asked, new_bakeoff, resumed_bakeoff, run_bakeoff
from aebuild.results.comparing.contestants import UNSAID, Budget, contestants
from aebuild.results.comparing.figures import usual_table
from aebuild.results.comparing.matching import Match, match_all
from aebuild.results.comparing.processes import Command, Processes, carry_out
from aebuild.results.comparing.shown_table import Shown, Told, on_console
from aebuild.results.comparing.significance import holm, interval, paired, welch
from aebuild.results.comparing.tables import markdown
from aebuild.results.comparing.width_search import nearest
from aebuild.results.run_facts import EvaluationRecord, RunFacts
from aebuild.trainer.signals import Interrupted

SPECS = Path(__file__).parents[2] / "specs" / "bakeoff"
NINE = ("deep", "shallow", "stacked", "sparse", "denoising", "vae", "beta_vae_strict", "beta_vae_loose", "vq")
SMALL = """\
name: {name}
data: {{type: digits, limit: 120}}
encoder: [linear: {width}]
latent: {{type: {latent}, dim: 4}}
losses: {{reconstruction: bernoulli}}
train: {{epochs: 2, batch_size: 32, speed: exact, optimizer: {{lr: {lr}}}}}
evaluate: {{pictures: 1}}
"""


def quiet(text: str) -> None:
    """Hears what is told."""


def small(folder: Path, name: str, latent: str = "continuous", lr: float = 1e-2, width: int = 16) -> str:
    """The path of a tiny spec."""
    path = folder / f"{name}.yaml"
    path.write_text(SMALL.format(name=name, latent=latent, lr=lr, width=width))
    return str(path)


def nine(real_data: Path, budget: Budget = UNSAID):
    return contestants([str(SPECS / f"{name}.yaml") for name in NINE], [], budget)


@pytest.mark.parametrize(("measure", "count"), [("params", lambda plan: plan.params), ("macs", lambda plan: plan.macs)])
def test_matching_reaches_the_size_of_the_reference(measure, count, real_data):
    found = nine(real_data)
    target = count(found[0].plan)
    matched, records = match_all(found, Match(measure, "bakeoff_deep", 0.02, keep_unmatched=True))
    for one in matched:
        if one.name != "bakeoff_shallow":                            # without a hidden layer there is nothing to scale
            assert abs(count(one.plan) - target) <= 0.02 * target, one.name
    assert "no hidden layers" in records["bakeoff_shallow"].reason
    vae = records["bakeoff_vae"]
    assert vae.before > 1.3 * target
    assert all(path.startswith("encoder.") for path in vae.settings)          # its decoder has the size already
    with pytest.raises(UsageError, match=r"AE615.*shallow"):
        match_all(found, Match(measure, "bakeoff_deep"))


def test_all_nine_can_be_as_small_as_the_smallest(real_data):
    found = nine(real_data)
    target = found[1].plan.params
    matched, records = match_all(found, Match("params", "bakeoff_shallow"))
    assert all(abs(one.plan.params - target) <= 0.02 * target for one in matched)
    assert not any(record.reason for record in records.values())
    ratio = [one.spec.encoder.steps[0].width / one.spec.encoder.steps[1].width for one in matched if one.name == "bakeoff_deep"]
    assert 2 <= ratio[0] <= 4                                         # 341 to 113 was three to one


def test_codes_are_matched_by_their_own_size_and_refused_where_they_come_in_steps(real_data):
    found = nine(real_data)
    matched, records = match_all(found, Match("code-bits", "bakeoff_deep"))
    assert all(abs(one.plan.latent.bits - 640) <= 0.02 * 640 for one in matched)
    assert records["bakeoff_vq"].settings == {"latent.dim": 71, "latent.groups": 71}
    with pytest.raises(UsageError, match=r"nearest is 192, \+6\.7 %"):
        match_all(found, Match("code-bits", "bakeoff_vq"))
    with pytest.raises(UsageError, match=r"AE615.*no spec of this bakeoff"):
        match_all(found, Match("params", "deep"))


def test_the_search_finds_what_trying_all_would_find():
    def count(new):
        return None if new["b"] % 8 else 10.0 * new["a"] + new["b"] ** 2

    found = nearest(lambda new: 7.0 * new["a"] ** 2, {"a": 5}, 7 * 123.0 ** 2 + 5, 0.001)
    assert found == (7 * 123.0 ** 2, {"a": 123})
    tried = {10.0 * a + (8 * b) ** 2: {"a": a, "b": 8 * b} for a in range(1, 80) for b in range(1, 20)}
    found = nearest(count, {"a": 16, "b": 32}, 1915.0, 0.01)
    assert found is not None and tried[found[0]] == found[1] and abs(found[0] - 1915) <= 19.15
    assert nearest(count, {}, 5.0, 0.1) is None
    assert nearest(lambda new: None, {"a": 4}, 5.0, 0.1) is None


def test_a_budget_is_the_same_for_all(real_data):
    for budget, epochs in ((UNSAID, 60.0), (Budget(epochs=3), 3.0), (Budget(epochs=10), 10.0), (Budget(steps=430), 2.0)):
        assert [one.epochs for one in nine(real_data, budget)] == pytest.approx([epochs] * 9, rel=0.01)


def test_tests_and_intervals_are_those_of_scipy():
    random = np.random.RandomState(0)
    first, second = random.standard_normal(6), 0.4 + random.standard_normal(6)
    assert paired(first, second) == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert welch(first, second[:4]) == pytest.approx(stats.ttest_ind(first, second[:4], equal_var=False).pvalue)
    found = interval(list(first))
    low, high = stats.t.interval(0.95, 5, loc=first.mean(), scale=stats.sem(first))
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
    assert (interval([3.0]).half, paired([1.0], [2.0]), welch([1.0], [2.0, 3.0])) == (None, None, None)
    assert (paired([1.0, 2.0], [1.0, 2.0]), paired([2.0, 3.0], [1.0, 2.0]), welch([1.0, 1.0], [2.0, 2.0])) == (1.0, 0.0, 0.0)


def test_holm_rejects_step_by_step():
    """The procedure as it was published: the smallest at alpha / m, the next at alpha / (m - 1), until one is kept."""
    random = np.random.RandomState(1)
    for _ in range(50):
        values = list(random.uniform(0, 0.2, random.randint(1, 8)))
        corrected = holm(values)
        for alpha in (0.01, 0.05, 0.2):
            rejected, left = set(), sorted(range(len(values)), key=lambda place: values[place])
            while left and values[left[0]] <= alpha / len(left):
                rejected.add(left.pop(0))
            assert {place for place, p in enumerate(corrected) if p <= alpha} == rejected


def facts(seed: int, value: float) -> RunFacts:
    told = {"split": "test", "samples": 5, "code_values": 1, "code_bits": 32.0, "model": {"terms": {"reconstruction": value}, "mse": value}}
    return RunFacts(Path(f"run-{seed}"), "finished", evaluation=EvaluationRecord.model_validate(told))


def test_a_table_marks_the_best_and_tests_pairs_where_seeds_share_the_order():
    values = {"one": [1.0, 1.2, 1.1], "two": [1.5, 1.72, 1.6], "three": [1.4, 1.9, 0.9]}
    runs = {name: {seed: facts(seed, value) for seed, value in enumerate(each)} for name, each in values.items()}
    table = usual_table(runs, lambda one, other: "three" not in (one, other))
    assert list(table.rows) == ["one", "three", "two"]               # the best first
    cells = {name: row["mse"] for name, row in table.rows.items()}
    assert (cells["one"].best, cells["two"].test, cells["three"].test) == (True, "paired", "welch")
    raw = [paired(values["two"], values["one"]), welch(values["three"], values["one"])]
    both = holm([*raw, *raw])                                        # reconstruction and mse are one table
    assert (cells["two"].p, cells["three"].p) == pytest.approx((both[0], both[1]))
    assert not cells["two"].tied and cells["three"].tied
    apart = usual_table(runs, lambda one, other: True, frozenset({"reconstruction"}))
    assert not any(row["reconstruction"].best or row["reconstruction"].p is not None for row in apart.rows.values())


def test_a_task_without_an_answer_says_why(tmp_path):
    """The one that answers has its row, the other its reason; where nobody answers there is no empty table."""
    specs = [small(tmp_path, "plain"), small(tmp_path, "held", "gaussian")]
    with new_bakeoff(specs, Asked((1,), tasks=("likelihood: {draws: 2}", "anomaly")), tmp_path / "out", quiet) as campaign:
        found = run_bakeoff(campaign, InThisProcess(), quiet)
    likelihood, anomaly = found.tables[1:]
    assert (list(likelihood.rows), list(likelihood.unanswered)) == (["held"], ["plain"])
    assert not anomaly.rows and "no class is known to be an anomaly" in anomaly.unanswered["plain"]
    page = markdown(found, "title", ()).split("## anomaly")[1]
    assert "|" not in page and page.count("no answer for plain, held: no class") == 1


@pytest.mark.parametrize("width", [30, 61, 200])
def test_a_table_wider_than_the_terminal_goes_on_below_with_all_its_words_whole(width):
    names = [f"a_figure_{number}" for number in range(9)]
    rows = tuple((Told(f"spec {row}"), *(Told(f"{row}.{place}1234") for place in range(9))) for row in range(3))
    console = Console(file=StringIO(), width=width)
    console.print(*on_console(Shown("task", ("spec", *names), rows, ("a remark",))))
    lines = console.file.getvalue().splitlines()
    words = " ".join(lines).split()
    assert max(map(len, lines)) <= width and all(words.count(name) == 1 for name in names)
    assert all(words.count(f"{row}.{place}1234") == 1 for row in range(3) for place in range(9))
    assert words.count("spec") == 4 * len([line for line in lines if line.startswith("spec  ")])


def test_what_was_stopped_and_gone_on_with_is_what_was_never_stopped(tmp_path, monkeypatch):
    specs = [small(tmp_path, "plain"), small(tmp_path, "noisy", "gaussian")]
    asked = Asked((1, 2), tasks=("reconstruction",))
    whole = new_bakeoff(specs, asked, tmp_path / "whole", quiet)
    with whole:
        expected = run_bakeoff(whole, InThisProcess(), quiet)
    with monkeypatch.context() as patch, new_bakeoff(specs, asked, tmp_path / "halves", quiet) as halves:
        patch.setattr("aebuild.trainer.progress.choose.choose_display", lambda progress: StopAt(1))
        with pytest.raises(Interrupted):
            run_bakeoff(halves, InThisProcess(stop_at=1), quiet)
    assert "stopped" in {halves.facts(training).state for training in halves.trainings() if halves.facts(training)}
    workers = InThisProcess()
    with new_bakeoff(specs, asked, tmp_path / "halves", quiet) as again:              # the same command goes on
        found = run_bakeoff(again, workers, quiet)
    assert ["--resume" in command.argv for command in workers.begun] == [True, False, False, False]
    assert [table.to_json() for table in found.tables] == [table.to_json() for table in expected.tables]
    assert [table.title for table in found.tables] == ["test, 180 samples", "reconstruction"]
    with resumed_bakeoff(tmp_path / "halves", (), ("{reconstruction: {shown: 1, name: other}}",)) as more:
        asking = InThisProcess()
        assert run_bakeoff(more, asking, quiet).tables[-1].title in ("other", "reconstruction")
    assert [command.argv[3] for command in asking.begun] == ["evaluate"] * 4          # nothing is trained again
    with pytest.raises(SpecError, match="reconstrution"):
        resumed_bakeoff(tmp_path / "halves", (), ("reconstrution",))
    with resumed_bakeoff(tmp_path / "halves", (), ()) as same:                         # which the wrong task left as it was
        assert same.record == more.record
    assert "| plain |" in markdown(found, "two", ()) and "± " in markdown(found, "two", ())


def test_a_training_that_fails_is_reported_and_stops_no_other(tmp_path):
    specs = [small(tmp_path, "fine"), small(tmp_path, "wild", lr=1e30)]
    with new_bakeoff(specs, Asked((1,)), tmp_path / "out", quiet) as campaign:
        found = run_bakeoff(campaign, InThisProcess(), quiet)
        (training, reason), = found.failures.items()
        assert (training.contestant, reason[:5]) == ("wild", "AE701")
        assert list(found.tables[0].rows) == ["fine"]
        workers = InThisProcess()
        assert run_bakeoff(campaign, workers, quiet).failures == found.failures          # it would only diverge again
        assert workers.begun == []
    with new_bakeoff([specs[1], small(tmp_path, "wilder", lr=1e31)], Asked((1,)), tmp_path / "none", quiet) as campaign, \
            pytest.raises(UsageError, match="AE609: none of 2 trainings was finished"):
        run_bakeoff(campaign, InThisProcess(), quiet)


def test_processes_are_contained_and_stop_together(tmp_path):
    def command(name, program):
        return Command(name, [sys.executable, "-c", program], tmp_path / f"{name}.txt")

    commands = iter([command("fine", "print('told')"), command("crash", "import os; os.kill(os.getpid(), 9)"),
                     command("threads", "import os; print(os.environ['OMP_NUM_THREADS'])"), command("wrong", "raise SystemExit(3)")])
    codes: dict[str, int] = {}
    with Processes(2) as workers:
        told = carry_out(workers, lambda: next(commands, None), lambda ended, code: codes.update({ended.key: code}))
    assert (told, codes) == (None, {"fine": 0, "crash": -9, "threads": 0, "wrong": 3})
    assert (tmp_path / "fine.txt").read_text() == "told\n"
    assert (tmp_path / "threads.txt").read_text().strip() == "1"
    waits = ("import os, signal, sys, time\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(130))\n"
             "os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)")
    more = iter([command("waits", waits), command("never", "print('never')")])
    with Processes(1) as workers:
        told = carry_out(workers, lambda: next(more, None), lambda ended, code: codes.update({ended.key: code}))
    assert (told, codes["waits"]) == (2, 130)
    assert "never" not in codes


def test_what_is_uneven_or_another_comparison_is_refused(tmp_path):
    one, two = small(tmp_path, "one"), small(tmp_path, "two")
    for words, message in (([one], "two specs or more"), ([one, one], "called one"), ([one, two], "")):
        if message:
            with pytest.raises(UsageError, match=f"AE608.*{message}"):
                contestants(words, [], UNSAID)
    Path(two).write_text(Path(two).read_text().replace("limit: 120", "limit: 110"))
    with pytest.raises(UsageError, match="AE608: two learns from other data"):
        contestants([one, two], [], UNSAID)
    assert len(contestants([one, two], ["--data=digits"], UNSAID)) == 2
    Path(two).write_text(Path(one).read_text().replace("name: one", "name: two").replace("epochs: 2", "epochs: 5"))
    with pytest.raises(UsageError, match="AE608: two trains 5 epochs, one 2"):
        contestants([one, two], [], UNSAID)
    with new_bakeoff([one, two], Asked((1,), budget=Budget(epochs=2)), tmp_path / "out", quiet):
        pass
    with pytest.raises(UsageError, match=r"AE606.*epochs was 2 and is 3"):
        new_bakeoff([one, two], Asked((1,), budget=Budget(epochs=3)), tmp_path / "out", quiet)
    with pytest.raises(UsageError, match="AE607"):
        resumed_bakeoff(tmp_path, (), ())
    record = tmp_path / "out" / "bakeoff.json"
    for key in ("contestants", "seeds"):
        whole = record.read_text()
        record.write_text(json.dumps({**json.loads(whole), key: []}))
        with pytest.raises(UsageError, match="AE607"):
            resumed_bakeoff(tmp_path / "out", (), ())
        record.write_text(whole)


def test_specs_that_were_edited_or_lost_train_no_further_seeds(tmp_path):
    specs = [small(tmp_path, "one"), small(tmp_path, "two")]
    new_bakeoff(specs, Asked((1,)), tmp_path / "out", quiet).__exit__()
    kept = tmp_path / "out" / "specs" / "one.yaml"
    whole = kept.read_text()
    for edit in (lambda: kept.write_text(whole.replace("dim: 4", "dim: 3")), kept.unlink):
        edit()
        with pytest.raises(UsageError, match=r"AE875: .*one\.yaml is"):
            resumed_bakeoff(tmp_path / "out", (1, 2), ())
        new_bakeoff(specs, Asked((1,)), tmp_path / "out", quiet).__exit__()          # writes it again, as the message says
        assert kept.read_text() == whole
    with resumed_bakeoff(tmp_path / "out", (2,), ()) as campaign:
        assert campaign.record.seeds == [1, 2]


@pytest.mark.parametrize(("words", "message"), [
    (["a", "b", "--epochs", 1, "--steps", 1], "--epochs and --steps"), (["--resume", "x", "--epochs", 1], "--resume goes on"),
    ([], "Give the specs"), (["a", "b", "--seeds", "0"], "1 to 1000 seeds"), (["a", "b", "--seeds", "few"], "neither a number"),
    (["a", "b", "--match-to", "a"], "belong to --match"), (["a", "b", "--match", "macs", "--tolerance", "nan"], "no finite number"),
    (["--resume", "x", "--tolerance", 3], "--resume goes"), (["a", "b", "--match", "size"], "size")])
def test_options_that_cannot_be_meant_are_refused(words, message, monkeypatch, capsys):
    code, _, err = called(("bakeoff", *words), monkeypatch, capsys)
    assert code == 2
    assert message in err


@pytest.mark.slow
def test_the_command_trains_in_processes_and_the_runs_are_ordinary_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("bakeoff", small(tmp_path, "one"), small(tmp_path, "two", "gaussian"), "--seeds", "7,", "-o", "out", "--json", "-q")
    code, out, _ = called(words, monkeypatch, capsys)
    told = json.loads(out)
    assert (code, [each["seeds"] for each in told["specs"]]) == (0, [[7], [7]])
    assert {run["state"] for run in json.loads(called(("runs", "out", "--json"), monkeypatch, capsys)[1])} == {"finished"}
    assert called(("compare", "out/runs/one-7", "out/runs/two-7", "--json"), monkeypatch, capsys)[0] == 0
    assert {path.name for path in Path("out").iterdir()} >= {"bakeoff.json", "bakeoff.md", "results.json", "runs", "specs", "logs"}
