"""`check-part`: the templates hold every law, each law is broken by a part that breaks it, and installed plug-ins are found by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import called

from aebuild.compile import installed_plugins
from aebuild.compile.plugins import Plugin, load_plugins, loaded_plugins
from aebuild.lang.diagnostics import UsageError
from aebuild.results.part_laws.laws import LAWS
from aebuild.results.part_laws.templates import LAYER, TEMPLATES
from aebuild.results.part_laws.verdicts import MEANINGS, Verdict, judged


@contextmanager
def loaded(file: Path, text: str) -> Iterator[Plugin]:
    file.write_text(text)
    plugin, = load_plugins([file])
    try:
        yield plugin
    finally:
        for each in loaded_plugins():
            each.take_back()


@pytest.mark.slow
@pytest.mark.parametrize("family", TEMPLATES)
def test_a_template_holds_every_law(family: str, tmp_path: Path) -> None:
    with loaded(tmp_path / "mine.py", TEMPLATES[family]) as plugin:
        verdicts = list(judged(plugin))
    assert [(each.law, each.wrong) for each in verdicts] == [(law, ()) for law in MEANINGS]
    assert {each.part for each in verdicts} == {f"{family} my_{family if family != 'dataset' else 'data'}"}


GATE = "return nn.GLU(dim=1)"
MODULE = """class Gate(nn.GLU):
                def forward(self, x):
                    return {}

            return Gate(dim=1)"""
BROKEN = {
    "plan": ("macs=inputs * both", "macs=inputs", "MACs planned"),
    "gradient": (GATE, MODULE.format("super().forward(x.detach())"), "no loss reaches encoder.0.linear.weight"),
    "batch": (GATE, MODULE.format("super().forward(x - x.mean(0))"), "differ by"),
    "state": (GATE, MODULE.format("super().forward(x) * self.factor").replace(
        "class Gate(nn.GLU):", "class Gate(nn.GLU):\n                factor = COUNTED.__next__()\n"),
        "the same state_dict"),
    "seed": (GATE, MODULE.format("super().forward(x) * COUNTED.__next__() / 9"), "modules.randomness"),
    "resume": (GATE, MODULE.format("super().forward(x) * COUNTED.__next__() / 9"), "differs after a resume"),
    "export": (GATE, MODULE.format("super().forward(x) if float(x.sum()) > -1e9 else x"), "cannot be exported"),
}


@pytest.mark.parametrize("law", BROKEN)
def test_what_breaks_a_law_is_told(law: str, tmp_path: Path) -> None:
    right, wrong, message = BROKEN[law]
    text = LAYER.replace(right, wrong).replace("class MyLayer", "COUNTED = __import__('itertools').count(1)\n\n\nclass MyLayer")
    assert text.count(wrong.splitlines()[0]) == 1
    verdict = _only(tmp_path, text, law)
    assert message in verdict.wrong[0]


def _only(tmp_path: Path, text: str, law: str, replaced: Callable[[str], bool] = lambda name: False) -> Verdict:
    """The verdict of one law, the others not asked."""
    with loaded(tmp_path / "mine.py", text) as plugin, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in LAWS if name != law]:
            patch.delitem(LAWS, name)
        patch.setattr("aebuild.results.part_laws.verdicts._numbers", lambda part, folder: [])
        return next(each for each in judged(plugin) if each.law == law)


def test_a_dead_number_and_an_exception_are_told_at_their_line(tmp_path: Path, monkeypatch, capsys) -> None:
    dead = LAYER.replace('    wants = ("vector",)', '    idle: float = knob(1.0, "nothing", affects="loss")\n    wants = ("vector",)')
    with loaded(tmp_path / "mine.py", dead) as plugin, pytest.MonkeyPatch.context() as patch:
        for name in list(LAWS):
            patch.delitem(LAWS, name)
        numbers = list(judged(plugin))[-1]
    assert numbers.law == "numbers" and numbers.wrong == ("idle: no other value changes loss",)
    (tmp_path / "fails.py").write_text(LAYER.replace("        inputs, both", "        1 / 0\n        inputs, both"))
    try:
        code, out, _ = called(("check-part", str(tmp_path / "fails.py"), "--json"), monkeypatch, capsys)
    finally:
        for each in loaded_plugins():
            each.take_back()
    verdicts = json.loads(out)
    assert code == 3 and [each["law"] for each in verdicts] == ["class", "example"]
    line = next(number for number, text in enumerate((tmp_path / "fails.py").read_text().splitlines(), 1) if "1 / 0" in text)
    assert "ZeroDivisionError" in verdicts[1]["wrong"][0] and verdicts[1]["place"].endswith(f"fails.py:{line}")


def test_an_example_with_a_finding_ends_the_questions(tmp_path: Path) -> None:
    with loaded(tmp_path / "mine.py", LAYER.replace("{width: 12}", "{width: twelve}")) as plugin:
        verdicts = list(judged(plugin))
    assert [each.law for each in verdicts] == ["class", "example"]
    assert verdicts[1].wrong[0].startswith("line 1 of the example: AE105")


def test_an_installed_plug_in_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its entry point, and by nothing else; one that leads nowhere is AE871."""
    (tmp_path / "own_layers").mkdir()
    (tmp_path / "own_layers" / "__init__.py").write_text("")
    (tmp_path / "own_layers" / "gate.py").write_text(LAYER)
    info = tmp_path / "own_layers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-layers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aebuild.plugins]\ngate = own_layers.gate\nlost = own_layers.nowhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert {"gate", "lost"} <= set(installed_plugins.offered())
    assert load_plugins() == ()
    plugin, = load_plugins(["gate"])
    try:
        assert plugin.names == ["layer my_layer"] and plugin.path == tmp_path / "own_layers" / "gate.py"
    finally:
        plugin.take_back()
    for name, code in (("lost", "AE871"), ("gaet", "AE122")):
        with pytest.raises(UsageError) as raised:
            load_plugins([name])
        assert raised.value.diagnostics[0].code == code
    assert raised.value.diagnostics[0].fix == "--plugin gate"
