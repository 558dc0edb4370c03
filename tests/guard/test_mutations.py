"""The guard's tests notice when a rule of the guard is taken out or loosened.

mutation_run.py changes the guard of a rendered project and runs a test that must fail then. That
takes minutes, so it is left out as long as neither the guard nor its tests changed since a complete
run. Here, too: the tables leave out no check, and a run counts only when it was complete.
"""

import ast
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import mutation_run
from conftest import ROOT, Render
from mutation_run import Bench, Case, Result
from mutations import MUTATIONS, SHAPES

pytestmark = pytest.mark.slow

SUITE = ROOT / "template/vendor/private-worker/src/private_worker/conformance"


def source(rendered: Render, shape: str, file: str) -> str:
    return (rendered(**SHAPES[shape]) / "src/guard" / file).read_text(encoding="utf-8")


def test_names_are_unique() -> None:
    names = [case.name for case in mutation_run.cases()]
    assert sorted(names) == sorted(set(names))


def test_each_row_fits_the_guard(rendered: Render) -> None:
    """The text is there once, and what takes its place is Python."""
    for each in MUTATIONS:
        before = source(rendered, each.shape, each.file)
        after = mutation_run.replacing(each, before)
        assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(before)), each.name


def test_each_test_is_there() -> None:
    for case in mutation_run.cases():
        for test in case.tests:
            file, _, function = test.partition("::")
            text = (SUITE / file).read_text(encoding="utf-8")
            there = re.search(rf"(?m)^def {function}\(", text) or not function  # or all of the file
            assert there, f"{case.name}: no {test}"


def test_no_check_is_forgotten(rendered: Render) -> None:
    """Each that is found in the source has a test, or a reason why nothing could notice."""
    missing, stale = mutation_run.unwritten(lambda file: source(rendered, "everybody", file))
    assert [f"{each.file}: {each.change}" for each in missing] == [], "run it with --write"
    assert stale == [], "remove these rows, or run it with --write"


# ---------------------------------------------------------------- when a run counts


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Result]]:
    """Those of a run in which all is well; nothing is recorded yet."""
    monkeypatch.setattr(mutation_run, "RECORD", tmp_path / "record.txt")
    yield [Result(case, True, 0.0, "") for case in mutation_run.cases()]


def test_complete_run_is_recorded(results: list[Result]) -> None:
    assert not mutation_run.is_recorded()
    assert mutation_run.record(results, mutation_run.fingerprint())
    assert mutation_run.is_recorded()


def test_no_other_run_is_recorded(results: list[Result]) -> None:
    now = mutation_run.fingerprint()
    survived = Result(results[-1].case, False, 0.0, "")
    for found, before in (
        (results[:-1], now),  # of some
        ([], now),
        ([*results[:-1], survived], now),
        ([*results, survived], now),
        (results, "another guard"),  # changed while it ran
    ):
        assert not mutation_run.record(found, before)
        assert not mutation_run.is_recorded()


def test_record_is_of_what_is_here(
    results: list[Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Any change of the guard, its tests, the kit or the tables makes the record an old one."""
    mutation_run.record(results, mutation_run.fingerprint())
    recorded = mutation_run.RECORD.read_text(encoding="utf-8")
    names = (
        *("template/src/guard/token.py", "tests/guard/generated_mutations.txt"),
        *(
            f"{mutation_run.TOOLS}/{name}"
            for name in ("conformance/test_token.py", "testing/host.mjs")
        ),
    )
    for name in mutation_run.INPUTS:
        assert (ROOT / name).exists(), name
    for name in names:
        assert any(name.startswith(each) for each in mutation_run.INPUTS)
        copy = tmp_path / "copy" / name
        copy.parent.mkdir(parents=True)
        copy.write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(mutation_run, "INPUTS", names)
    before = mutation_run.fingerprint(tmp_path / "copy")
    assert before == mutation_run.fingerprint(ROOT)
    assert before not in recorded
    for name in names:
        copy = tmp_path / "copy" / name
        text = copy.read_bytes()
        copy.write_bytes(text + b"\n")
        assert mutation_run.fingerprint(tmp_path / "copy") != before
        copy.write_bytes(text)
    assert mutation_run.fingerprint(tmp_path / "copy") == before


# ---------------------------------------------------------------- the run


@pytest.mark.slow
def test_what_survives_is_seen(node_modules: Path, tmp_path: Path) -> None:
    """Otherwise a green run would mean nothing."""
    tests = ("test_claims.py::test_other_issuer",)

    def without(word: str, text: str) -> str:
        return re.sub(rf"(?m)if .*settings\.{word}.*:$", "if False:", text)

    changes = {
        "notices": partial(without, "issuer"),
        "does not notice": partial(without, "audiences"),
        "as it is": None,
    }
    wanted = [Case(name, "people", "token.py", tests, changed) for name, changed in changes.items()]
    results = mutation_run.run(wanted, Bench(tmp_path, node_modules))
    found = {result.case.name: result.good for result in results}
    assert found == {"notices": True, "does not notice": False, "as it is": True}


@pytest.mark.slow
def test_every_change_is_noticed(node_modules: Path, tmp_path: Path) -> None:
    """MUTATIONS=always runs it whatever changed."""
    if mutation_run.is_recorded() and os.environ.get("MUTATIONS") != "always":
        pytest.skip("neither the guard nor its tests changed since the last complete run")
    bad = mutation_run.run_all(Bench(tmp_path, node_modules))
    assert [str(result) for result in bad] == []
