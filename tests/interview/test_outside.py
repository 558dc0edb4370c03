"""Answers from outside: --data, a data file, the settings of Copier, and a stored answers file.

Whatever is handed in there is refused in one line before anything is written, or it has passed its
question's validator, or it has no effect: the project is the same, byte for byte.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import Settings, run_copy
from jinja2 import Environment, meta, nodes

from conftest import ROOT, tracked_files
from files import texts
from questions import CONFIG, FREE_TEXT, QUESTIONS, answered, complaint, makes_sense, offered
from samples import GOOD
from shapes import AUD

Answers = dict[str, Any]
ANSWERS = ".copier-answers.yml"


class Copy:
    """Make a project and read it, without vendor/, which is the same everywhere.

    The template is a folder without git, which saves Copier a clone each time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.template, self.count = folder, folder / "template", 0
        self.known: dict[str, dict[str, str]] = {}
        for name in tracked_files():
            if name == "copier.yml" or name.startswith(("includes/", "template/")):
                (self.template / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.template / name)

    def __call__(
        self,
        shape: Answers,
        data: Answers | None = None,
        defaults: Answers | None = None,
        stored: Answers | None = None,
    ) -> dict[str, str]:
        """With answers by --data, in the settings or in an answers file, beside those of the shape.
        What is refused leaves nothing behind."""
        self.count += 1
        project = self.folder / str(self.count) / "my-api"
        if stored is not None:
            project.mkdir(parents=True)
            (project / ANSWERS).write_text(yaml.safe_dump(stored), encoding="utf-8")
        try:
            run_copy(
                str(self.template),
                project,
                data={**shape, **(data or {})},
                settings=Settings(defaults=defaults or {}),
                defaults=True,
                exclude=["/vendor"],
                overwrite=True,
                quiet=True,
            )
        except Exception:
            assert not project.exists() or list(texts(project)) == [ANSWERS]
            raise
        return texts(project)

    def plain(self, shape: Answers) -> dict[str, str]:
        """The project of the shape, with nothing else given."""
        key = repr(shape)
        if key not in self.known:
            self.known[key] = self(shape)
        return self.known[key]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, isolated_copier: None) -> Copy:
    return Copy(tmp_path_factory.mktemp("outside"))


# --- Names that are no question -----------------------------------------------------------------

# What Copier itself puts beside the answers. It refuses to be given one of them.
COPIERS = {"_copier_answers", "_copier_conf", "_copier_operation", "_folder_name"}
# What v0.1 and v0.2 computed as answers: --data could set it.
COMPUTED_ONCE = ("pw_edge", "pw_base", "pw_url", "pw_team", "pw_audiences", "pw_emails")


@cache
def environment() -> Environment:
    found = Environment(extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"])
    found.globals.clear()  # `range` and `namespace` can be given from outside as well
    return found


def sources() -> Iterator[tuple[str, str]]:
    """Every text that Copier renders with the answers."""
    for name in tracked_files():
        if (
            name.startswith("template/") and name.endswith(".jinja")
        ) or name == "includes/shape.jinja":
            yield name, (ROOT / name).read_text(encoding="utf-8")
    yield from ((f"copier.yml: {at}", text) for at, text in strings(CONFIG, ""))


def strings(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, list | dict):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from strings(item, f"{at} {key}".strip())


def test_files_look_at_questions_only() -> None:
    """A name that is no question, looked up among the answers, could be given by anybody."""
    known = {*QUESTIONS, *COPIERS, "_"}  # `_` is what a `set` throws away
    found = {
        where: unknown
        for where, text in sources()
        if (unknown := meta.find_undeclared_variables(environment().parse(text)) - known)
    }
    assert found == {}


def test_macros_see_no_answers() -> None:
    """They are imported without the answers, so `namespace` is Jinja's own whatever is given."""
    for where, text in sources():
        found = environment().parse(text)
        imports: list[nodes.Import | nodes.FromImport] = [*found.find_all(nodes.Import)]
        imports += found.find_all(nodes.FromImport)
        for node in imports:
            name = node.template.as_const()
            assert node.with_context == (name == "includes/shape.jinja"), where


def names_inside() -> set[str]:
    """Every name that is set, imported or looked up in a template, and Jinja's own."""
    found = set(Environment().globals)
    for folder in ("template", "includes"):
        for path in (ROOT / folder).rglob("*.jinja"):
            parsed = environment().parse(path.read_text(encoding="utf-8"))
            found |= {node.name for node in parsed.find_all(nodes.Name)}
            found |= {node.name for node in parsed.find_all(nodes.Macro)}
            found |= {node.target for node in parsed.find_all(nodes.Import)}
    return found - set(QUESTIONS) - COPIERS


@pytest.mark.parametrize("value", [["*"], pytest.param('"]\n{{ 7 * 7 }}', marks=pytest.mark.slow)])
def test_unknown_names_have_no_effect(copy: Copy, value: Any) -> None:
    names = names_inside()
    assert len(names) > 60 and {"shape", "edge", "base", "namespace", "range", "dict"} <= names
    given = dict.fromkeys([*names, *COMPUTED_ONCE], value)
    everything: Answers = {
        "profile": "custom",
        "callers": ["human", "machine", "binding"],
        "exposure": "route",
        "binding_style": "both",
        "staging": True,
        "upstreams": "billing",
        "ci": "github",
    }
    assert copy(everything, data=given, defaults=given) == copy.plain(everything)


# What Copier leaves open when it fails in the middle is not ours.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", sorted(COPIERS))
def test_names_of_copier_are_refused(copy: Copy, name: str) -> None:
    with pytest.raises(TypeError, match=f"multiple values for (keyword )?argument '{name}'"):
        copy({}, data={name: "x"})


# --- Questions without a meaning ----------------------------------------------------------------

HOSTILE = ['"]\n[x]\ny = """', "{{ 7 * 7 }}", "x", "", "a/b\\", "[*]", "😀 ' -- #\r\n"]
# Together they leave every question with a condition without a meaning once.
SHAPES: dict[str, Answers] = {
    "internal": {"profile": "internal", "staging": True},
    "production": {"profile": "production"},
    "programs on a route": {"profile": "custom", "callers": ["machine"], "exposure": "route"},
    "hostname of workers.dev": {
        "profile": "custom",
        "callers": ["human", "binding"],
        "access_scope": "hostname",
        "staging": True,
    },
}


def meaningless(shape: Answers) -> list[str]:
    context = answered(shape)
    return [name for name in QUESTIONS if not makes_sense(name, **context)]


def others(shape: Answers, text: str) -> Answers:
    """Answers to the questions without a meaning, none of them the default: a text where there is a
    text, else another choice."""
    context = answered(shape)
    found: Answers = {}
    for name in meaningless(shape):
        if name in FREE_TEXT:
            found[name] = text
        elif QUESTIONS[name]["type"] == "bool":
            found[name] = True
        elif QUESTIONS[name].get("multiselect"):
            found[name] = offered(name, **context)
        else:
            found[name] = next(one for one in offered(name, **context) if one != context[name])
    return found


def test_every_condition_is_false_somewhere() -> None:
    conditional = {name for name in QUESTIONS if "when" in QUESTIONS[name]}
    assert set().union(*map(meaningless, SHAPES.values())) == conditional


def quick(rows: list[Any], here: Callable[[int], bool]) -> list[Any]:
    return [
        row if here(n) else pytest.param(*row, marks=pytest.mark.slow) for n, row in enumerate(rows)
    ]


# Whatever the text is, it would be seen where it goes: each text with some shape, and each shape
# with more than one text. Between them the shapes have every conditional question.
MEANINGLESS = [
    (name, text)
    for number, name in enumerate(SHAPES)
    for text in HOSTILE[2 * number : 2 * number + 2] + ([HOSTILE[0]] if number == 3 else [])
]


def test_every_text_is_tried() -> None:
    assert {text for _, text in MEANINGLESS} == set(HOSTILE)
    assert all([name for name, _ in MEANINGLESS].count(shape) > 1 for shape in SHAPES)


@pytest.mark.parametrize(("name", "text"), quick(MEANINGLESS, lambda n: n in (0, 4)), ids=repr)
def test_settings_for_meaningless_questions_have_no_effect(
    copy: Copy, name: str, text: str
) -> None:
    """Copier validates none of them. Settings are templates, so braces are quoted."""
    shape = SHAPES[name]
    given = others(shape, "{% raw %}" + text + "{% endraw %}")
    assert copy(shape, defaults=given) == copy.plain(shape)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text"), MEANINGLESS, ids=repr)
def test_stored_answers_to_meaningless_questions_have_no_effect(
    copy: Copy, name: str, text: str
) -> None:
    shape = SHAPES[name]
    stored = {**shape, **others(shape, text)}
    assert copy({}, stored=stored) == copy.plain(shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_data_for_meaningless_questions_is_validated_and_has_no_effect(
    copy: Copy, name: str
) -> None:
    """Good answers, so that none is refused."""
    shape = SHAPES[name]
    given = {
        one: GOOD[one][-1] if one in GOOD else value for one, value in others(shape, "").items()
    }
    given = {one: value for one, value in given.items() if not complaint_of(one, given, shape)}
    assert len(given) >= 4
    assert copy(shape, data=given) == copy.plain(shape)


def complaint_of(question: str, given: Answers, shape: Answers) -> str:
    if "validator" not in QUESTIONS[question]:
        return ""
    return complaint(question, given[question], **answered({**shape, **given}))


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("question", [name for name in FREE_TEXT if "when" in QUESTIONS[name]])
def test_hostile_data_for_a_meaningless_question(copy: Copy, question: str, text: str) -> None:
    """Refused by its own validator, or without effect."""
    shape = next(each for each in SHAPES.values() if question in meaningless(each))
    try:
        made = copy(shape, data={question: text})
    except ValueError as refusal:
        said = str(refusal)
        assert re.fullmatch(rf"Validation error for question '{question}': [A-Z].*\.", said)
        assert text not in said or len(text) < 2
    else:
        assert made == copy.plain(shape)


# --- Yes or no ----------------------------------------------------------------------------------

YES_OR_NO = [name for name in QUESTIONS if QUESTIONS[name]["type"] == "bool"]
YES = ["true", "True", "TRUE", " yes ", "y", "t", "on", "1", True, 1]
NO = ["false", "False", "no", "N", "f", "off", "0", False, 0]
NEITHER = ["nope", "", " ", "2", "-1", "null", "none", "~", "ture", "{{ true }}", 2, 1.5, [True]]
TOLD = "Validation error for question '{}': Type true or false."


@pytest.mark.parametrize("question", YES_OR_NO)
def test_words_for_yes_and_no(question: str) -> None:
    for word in (*YES, *NO):
        assert complaint(question, word) == "", word
    for word in NEITHER:
        assert complaint(question, word) == "Type true or false.", word


def sensible(question: str) -> Answers:
    """A shape in which it has a meaning, and the other answer than the default."""
    shape = {"profile": "personal"}
    assert makes_sense(question, **answered(shape))
    return shape


@pytest.mark.parametrize(
    ("question", "word"),
    quick(
        [(question, word) for question in YES_OR_NO for word in NEITHER],
        lambda n: n % len(NEITHER) == 0,
    ),
)
def test_another_word_is_refused(copy: Copy, question: str, word: Any) -> None:
    """By --data and a data file, by the settings, and in the answers file."""
    shape = sensible(question)
    for given in ({"data": {question: word}}, {"defaults": {question: word}}):
        with pytest.raises(ValueError) as refusal:
            copy(shape, **given)
        assert str(refusal.value) == TOLD.format(question)
    with pytest.raises(ValueError) as refusal:
        copy({}, stored={**shape, question: word})
    assert str(refusal.value) == TOLD.format(question)


@pytest.mark.slow
@pytest.mark.parametrize(("words", "meant"), [(YES, True), (NO, False)], ids=["yes", "no"])
def test_words_mean_what_they_say(copy: Copy, words: list[Any], meant: bool) -> None:
    """For all questions at once, each with another word of the same meaning, until each word was
    given to each. By --data and in the settings in turn."""
    shape = {"profile": "personal"}
    assert all(makes_sense(question, **answered(shape)) for question in YES_OR_NO)
    expected = copy.plain({**shape, **dict.fromkeys(YES_OR_NO, meant)})
    for turn in range(len(words)):
        given = {
            question: words[(turn + number) % len(words)]
            for number, question in enumerate(YES_OR_NO)
        }
        found = copy(shape, data=given) if turn % 2 else copy(shape, defaults=given)
        assert found == expected, given


# --- By the command line ------------------------------------------------------------------------


def copier(folder: Path, template: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", *words]
    return subprocess.run(
        [*command, str(template), "my-api"], cwd=folder, capture_output=True, text=True
    )


def test_command_line_says_it_last(template: Path, tmp_path: Path) -> None:
    """What a person reads at the end names the question and says what to do."""
    done = copier(tmp_path, template, "--data", "staging=nope")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith(TOLD.format("staging"))
    assert list(tmp_path.iterdir()) == []


INJECTIONS: Answers = {
    "pw_emails": '["*"]',
    "pw_base": f'"\nimport os  # {AUD}',
    "shape": "x",
    "edge": "",
    "namespace": "x",
    "range": "x",
    "dict": "x",
}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--data", "--data-file", "settings"])
def test_injections_by_every_way(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Names that nobody is asked for, and a boolean by another word, as people type them."""
    work, plain = tmp_path / "work", tmp_path / "plain"
    work.mkdir()
    plain.mkdir()
    file = tmp_path / "file.yml"
    assert copier(plain, template).returncode == 0

    def words(answers: Answers) -> list[str]:
        if way == "--data":
            return [word for item in answers.items() for word in ("--data", "=".join(item))]
        if way == "--data-file":
            file.write_text(yaml.safe_dump(answers), encoding="utf-8")
            return ["--data-file", str(file)]
        file.write_text(yaml.safe_dump({"defaults": answers}), encoding="utf-8")
        monkeypatch.setenv("COPIER_SETTINGS_PATH", str(file))
        return []

    done = copier(work, template, *words(INJECTIONS))
    assert (done.returncode, done.stderr) == (0, "")
    assert texts(work / "my-api") == texts(plain / "my-api")
    for question in YES_OR_NO:
        (work / "my-api").rename(tmp_path / question)
        done = copier(work, template, *words({question: "nope"}))
        assert done.returncode == 1
        assert done.stderr.strip().splitlines()[-1].endswith(TOLD.format(question))
        assert list(work.iterdir()) == []
        (tmp_path / question).rename(work / "my-api")


def test_no_answer_becomes_code() -> None:
    """Python sources of the guard hold no text of an answer. (Their names are in the settings.)"""
    for name in tracked_files():
        if name.startswith("template/src/guard/") and name.endswith(".py.jinja"):
            parsed = environment().parse((ROOT / name).read_text(encoding="utf-8"))
            printed = [node for output in parsed.find_all(nodes.Output) for node in output.nodes]
            said = {node.name for part in printed for node in part.find_all(nodes.Name)}
            assert not said & set(FREE_TEXT), name
