"""wrangler.jsonc is read as wrangler reads it, and one value changed without touching the rest; the
guard's rules are read from the project."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import json5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_run import environment, project
from conftest import Render
from private_worker import guard_rules
from private_worker.config import Config, routes_of
from private_worker.project import Problem


def config(folder: Path, text: str | bytes) -> Config:
    path = folder / "wrangler.jsonc"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Config(path)


# --- Reading -------------------------------------------------------------------------------------

READ: dict[str, tuple[str, Any]] = {
    # text, and what it holds; None: refused
    "line-comment": ('{ // one\n "a": 1 // two\n}// three', {"a": 1}),
    "block-comment": ('/* { */{"a"/* : */:/*\n*/1}', {"a": 1}),
    "comment-in-a-row": ('{/* /* */ "a": 1}', {"a": 1}),
    "comment-after-return": ('{// x\r"a": 1}', {"a": 1}),
    "comment-with-line-separator": ('{// x\u2028"a": 1\n}', {}),
    "no-comment-in-text": (
        '{"a": "https://x//y /* z */", "b": "\\"// ,]"}',
        {"a": "https://x//y /* z */", "b": '"// ,]'},
    ),
    "trailing-commas": ('{"a": [1, 2,\n], "b": {"c": 1,},}', {"a": [1, 2], "b": {"c": 1}}),
    "trailing-comma-and-comment": ('{"a": [1,/* , */] // ,\n, //\n}', {"a": [1]}),
    "no-trailing-comma-in-text": ('{"a": ",]", "b": ",}"}', {"a": ",]", "b": ",}"}),
    "byte-order-mark": ('\ufeff{"a": 1}', {"a": 1}),
    "windows": ('{\r\n  "a": 1, // x\r\n}\r\n', {"a": 1}),
    "other-letters": ('{"é": "日本 \U0001f600"} // ü', {"é": "日本 \U0001f600"}),
    "escapes": (r'{"\u0061": "\"\\\/\b\f\n\r\t\u00e9"}', {"a": '"\\/\b\f\n\r\té'}),
    "half-a-pair": (r'{"a": "\ud800"}', {"a": "\ud800"}),
    "delete-character": ('{"a": "\x7f"}', {"a": "\x7f"}),
    "lone-comma": ('{"a": [,]}', None),
    "lone-comma-in-object": ("{,}", None),
    "lone-comma-after-comment": ('{"a": [/* x */,]}', None),
    "two-commas": ('{"a": [1,,]}', None),
    "two-commas-between": ('{"a": [1,,2]}', None),
    "comma-first": ('{"a": [,1]}', None),
    "comma-for-a-value": ('{"a": ,}', None),
    "no-comma": ('{"a": 1 "b": 2}', None),
    "no-colon": ('{"a" 1}', None),
    "NaN": ('{"a": NaN}', None),
    "infinity": ('{"a": -Infinity}', None),
    "tab-in-text": ('{"a": "x\ty"}', None),
    "line-end-in-text": ('{"a": "x\ny"}', None),
    "odd-space": ('{\u00a0"a": 1}', None),
    "vertical-tab": ('{\x0b"a": 1}', None),
    "unknown-escape": (r'{"a": "\x41"}', None),
    "single-quotes": ("{'a': 1}", None),
    "leading-zero": ('{"a": 01}', None),
    "hexadecimal": ('{"a": 0x10}', None),
    "plus": ('{"a": +1}', None),
    "dot": ('{"a": 1.}', None),
    "endless-comment": ('{"a": 1} /* x', None),
    "more-after-the-end": ('{"a": 1} {"b": 2}', None),
    "empty": ("", None),
}


@pytest.mark.parametrize("name", READ)
def test_read(name: str, tmp_path: Path) -> None:
    text, wanted = READ[name]
    if wanted is None:
        with pytest.raises(Problem, match=r"^wrangler\.jsonc .*") as caught:
            config(tmp_path, text)
        assert "\n" not in str(caught.value)
    else:
        assert config(tmp_path, text).data == wanted


@pytest.mark.slow
def test_wrangler_reads_the_same(node_modules: Path, node: Path, tmp_path: Path) -> None:
    """The table above against the installed wrangler's own reader."""
    script = (
        "import { experimental_readRawConfig as read } from 'wrangler';\n"
        "import fs from 'node:fs';\n"
        "const answer = {};\n"
        "const cases = JSON.parse(fs.readFileSync('cases.json'));\n"
        "for (const [name, [text]] of Object.entries(cases)) {\n"
        "  fs.writeFileSync('wrangler.jsonc', text);\n"
        "  try { answer[name] = [read({ config: 'wrangler.jsonc' }).rawConfig]; }\n"
        "  catch { answer[name] = null; }\n"
        "}\n"
        "fs.writeFileSync('answer.json', JSON.stringify(answer));\n"
    )
    (tmp_path / "node_modules").symlink_to(node_modules)
    (tmp_path / "cases.json").write_text(json.dumps(READ))
    (tmp_path / "read.mjs").write_text(script)
    done = subprocess.run(
        [node, "read.mjs"], cwd=tmp_path, env=environment(CI="1"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "answer.json").read_text())
    for name, (_, wanted) in READ.items():
        assert answer[name] == (None if wanted is None else [wanted]), name


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b'{\n "a": \xff}', "not UTF-8, at byte 8"),
        (b'{\n  "a": 1,\n  "b" 2\n}', "line 3"),
        (b"[1]", "one object"),
        (b"null", "one object"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "nested too deeply"),
        (b"[" * 100_000, "is not JSON: .*recursion"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON: .*limit"),
        (b'{"a": 1, "b": {"c": 1, "vars": 1, "vars": 1}}', "twice: 'vars'"),
        (b'{"\\u0061": 1, "a": 1}', "twice: 'a'"),
    ],
    ids=("latin-1", "line", "list", "null", "deep", "deeper", "digits", "twice", "twice-escaped"),
)
def test_refusal_says_what_is_wrong(content: bytes, part: str, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=part):
        config(tmp_path, content)


@pytest.mark.parametrize(
    "text",
    [
        '"\\' * 400_000,
        '"\\"' + '\\"' * 400_000 + "\\\n" + '"',
        "/* " * 300_000,
        '{"a": "x' + '\n"' * 300_000,
        "{" + '"a": 1, ' * 100_000 + '"b": 1}',
        "{" + ", ".join(f'"a{n}": 1' for n in range(60_000)) + ', "a7": 1}',
        "[" + " " * 900_000,
    ],
    ids=("quotes", "escapes", "comments", "texts", "twice", "one-twice", "blanks"),
)
def test_broken_file_is_refused_in_no_time(text: str, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(Problem, match="is not JSON"):
        config(tmp_path, text)
    assert time.monotonic() - started < 3


def test_deep_is_deep(tmp_path: Path) -> None:
    """Brackets in text do not count, and what is allowed can be found and changed."""
    inner = '{"a": ' * 60 + '"' + "[" * 99 + '"' + "}" * 60
    read = config(tmp_path, inner)
    read.put(("a",) * 60, "x")
    assert read.get(("a",) * 60) == "x"


def test_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "wrangler.jsonc", tmp_path):
        with pytest.raises(Problem, match="cannot be read"):
            Config(path)


# --- Finding one's way ---------------------------------------------------------------------------

LAYOUT = """\
// one
{
  "a": {/*
    */ "b": [ // "c": 1
      1,
      { "c": "}" },
    ],
    "d":
      7,
  },
  "e": [], "f": [[0], [
    1]]
}
"""


def test_line(tmp_path: Path) -> None:
    """Of the value, or of the last part of the way that is there."""
    for text in (LAYOUT, "\ufeff" + LAYOUT.replace("\n", "\r\n")):
        read = config(tmp_path, text)
        for path, line in {
            (): 2,
            ("a",): 3,
            ("a", "b"): 4,
            ("a", "b", 0): 5,
            ("a", "b", 1): 6,
            ("a", "b", 1, "c"): 6,
            ("a", "b", 1, "c", "x"): 6,
            ("a", "b", 2): 4,
            ("a", "d"): 9,
            ("a", "x", "y"): 3,
            ("e", 0): 11,
            ("f", 1, 0): 12,
            ("x",): 2,
        }.items():
            assert read.line(path) == line, path


def test_blocks_and_names(tmp_path: Path) -> None:
    read = config(
        tmp_path,
        json.dumps(
            {
                "name": "api",
                "vars": {"A": 1},
                "previews": {"vars": {}},
                "env": {
                    "staging": {"vars": {"A": 2}, "previews": {"x": 1}},
                    "eu.west": {"name": "api-of-europe"},
                    "broken": 7,
                },
            }
        ),
    )
    assert [(block.name, block.path) for block in read.blocks()] == [
        ("the top level", ()),
        ("previews", ("previews",)),
        ("env.staging", ("env", "staging")),
        ("env.staging.previews", ("env", "staging", "previews")),
        ("env.eu.west", ("env", "eu.west")),
    ]
    assert read.block(None).settings["vars"] == {"A": 1}
    assert read.block("staging").settings["vars"] == {"A": 2}
    assert read.worker_name(None) == "api"
    assert read.worker_name("staging") == "api-staging"
    assert read.worker_name("eu.west") == "api-of-europe"
    for name in ("production", "broken", "previews"):
        with pytest.raises(Problem, match=f"--env {name}"):
            read.block(name)
    assert read.get(("env", "staging", "vars", "A")) == 2
    assert read.get(("env", "broken", "vars")) is None
    with pytest.raises(Problem, match='"name"'):
        config(tmp_path, '{"name": ""}').worker_name(None)


# --- Changing one value --------------------------------------------------------------------------

SPACES = st.sampled_from(["", " ", "\n  ", "\r\n\t", "// a, {\n", '/* \u00e9 " } */', " /**/ "])
# Not beyond U+FFFF: json5, which judges here, does not join the two halves of an escape.
TEXTS = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8
) | st.sampled_from(["//", "/*", "*/", '"', "\\", ",]", ",}", "{", "\u2028"])
SCALARS = TEXTS | st.integers(-999, 999) | st.booleans() | st.none() | st.floats(-1, 1)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def layouts(draw: st.DrawFn, value: Any) -> str:
    """The value as JSON with comments, in any layout."""

    def space() -> str:
        return str(draw(SPACES))

    def coin() -> bool:
        return bool(draw(st.sampled_from([False, True])))

    def comma(items: list[str]) -> str:
        end = "," + space() if items and coin() else ""
        return ",".join(items) + end

    if isinstance(value, dict):
        pairs = [
            f"{space()}{json.dumps(key, ensure_ascii=coin())}{space()}:"
            f"{space()}{draw(layouts(inner))}{space()}"
            for key, inner in value.items()
        ]
        return "{" + space() + comma(pairs) + "}"
    if isinstance(value, list):
        items = [f"{space()}{draw(layouts(inner))}{space()}" for inner in value]
        return "[" + space() + comma(items) + "]"
    return json.dumps(value, ensure_ascii=coin())


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """A file, what it holds, and a way to a value in it or to a new one."""
    data = draw(st.dictionaries(TEXTS, VALUES, max_size=4))
    text = draw(SPACES) + draw(layouts(data)) + draw(SPACES)
    path: tuple[str, ...] = ()
    at: Any = data
    while True:
        key = draw(st.sampled_from([*at, "new"]))
        path = (*path, key)
        if not isinstance(at.get(key), dict) or not draw(st.booleans()):
            return text, data, path
        at = at[key]


@settings(max_examples=100, deadline=None)
@given(change=changes(), value=VALUES, mark=st.booleans())
def test_put_changes_one_value_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    change: tuple[str, dict[str, Any], tuple[str, ...]],
    value: Any,
    mark: bool,
) -> None:
    text, data, path = change
    text = "\ufeff" * mark + text
    read = config(tmp_path_factory.getbasetemp(), text)
    assert read.data == data
    wanted = json.loads(json.dumps(data))
    parent: Any = wanted
    for key in path[:-1]:
        parent = parent[key]
    old = parent.get(path[-1], MISSING)
    parent[path[-1]] = value
    read.put(path, value)
    assert read.data == wanted
    written = json.dumps(value)
    if old is MISSING:  # taking out one piece gives the text of before
        start = len(os.path.commonprefix([text, read.text]))
        added = len(read.text) - len(text)
        assert written in read.text
        assert any(read.text[:at] + read.text[at + added :] == text for at in range(start + 1))
    else:  # the same text stands before and after, and what is gone was the old value
        gone = [
            text[at : len(text) - (len(read.text) - at - len(written))]
            for at in range(len(read.text))
            if read.text.startswith(written, at)
            and read.text[:at] == text[:at]
            and text.endswith(read.text[at + len(written) :])
        ]
        assert any(holds(part, old) for part in gone), (text, read.text)


MISSING = object()


def holds(text: str, value: Any) -> bool:
    """Whether this is the value as JSON, and no comment or space around it."""
    try:
        found = json5.loads(text)
    except ValueError:
        return False
    return bool(text.strip() == text and text[:1] != "/" and text[-1:] != "/" and found == value)


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ('{ // one\n  "a": 1, // two\n}\n', ("a",), '{ // one\n  "a": ["x"], // two\n}\n'),
        ('{\n  "b": 1\n}', ("a",), '{\n  "a": ["x"],\n  "b": 1\n}'),
        ("{}", ("a",), '{"a": ["x"]}'),
        ("{\r\n\t// none\r\n}", ("a",), '{\r\n\t"a": ["x"]\r\n\t// none\r\n}'),
        ('{"v": {}}', ("v", "a"), '{"v": {"a": ["x"]}}'),
        ('{"a": {"a": "a"}, "b": "a"}', ("a", "a"), '{"a": {"a": ["x"]}, "b": "a"}'),
        ('{"\\u0061": 1}', ("a",), '{"\\u0061": ["x"]}'),
        ('{"b": [{"a": 1}, "a:"], "a": 1}', ("a",), '{"b": [{"a": 1}, "a:"], "a": ["x"]}'),
    ],
)
def test_put_keeps_the_layout(
    before: str, path: tuple[str, ...], after: str, tmp_path: Path
) -> None:
    read = config(tmp_path, before)
    read.put(path, ["x"])
    assert read.text == after


def test_put_needs_the_object(tmp_path: Path) -> None:
    text = '{"env": {"staging": {}}, "vars": [{}], "main": "x"}'
    for path in (("no", "A"), ("env", "staging", "vars", "A"), ("vars", "A"), ("main", "A")):
        read = config(tmp_path, text)
        with pytest.raises(Problem, match="has no object"):
            read.put(path, 1)
        assert read.text == text


# --- Writing -------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_save(tmp_path: Path) -> None:
    """Mode, line ends and byte order mark stay; a link stays a link; nothing else is left."""
    real = tmp_path / "real"
    real.mkdir()
    content = b'\xef\xbb\xbf{\r\n  "a": 1 // \xc3\xa9\r\n}'
    path = real / "wrangler.jsonc"
    path.write_bytes(content)
    path.chmod(0o640)
    link = tmp_path / "wrangler.jsonc"
    link.symlink_to(path)
    read = Config(link)
    read.put(("a",), 2)
    inode = path.stat().st_ino
    read.save()
    assert path.read_bytes() == content.replace(b"1", b"2")
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink() and os.listdir(real) == ["wrangler.jsonc"]
    # A new file took the name: whoever reads sees the old or the new one, never a half.
    assert path.stat().st_ino != inode


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_save_that_fails(tmp_path: Path) -> None:
    read = config(tmp_path, '{"a": 1}')
    read.put(("a",), 2)
    read.path.unlink()
    read.path.mkdir()  # so that no file can take the name, not even for root
    (read.path / "x").touch()
    with pytest.raises(Problem, match=r"wrangler\.jsonc cannot be written: \w+"):
        read.save()
    assert os.listdir(tmp_path) == ["wrangler.jsonc"]


# --- Addresses -----------------------------------------------------------------------------------


def test_routes() -> None:
    """Each item of `routes`, then `route`, whatever stands there."""
    domain = {"pattern": "api.example.com", "custom_domain": True}
    given: dict[str, object] = {"routes": [domain, "a.example.com/*", 7, {}, {"pattern": 1}]}
    routes = routes_of({**given, "route": "b.example.com/*"})
    assert [route.pattern for route in routes] == [
        "api.example.com",
        "a.example.com/*",
        "",
        "",
        "",
        "b.example.com/*",
    ]
    assert [route.way for route in routes] == [*(("routes", n) for n in range(5)), ("route",)]
    assert routes[0].fields == domain and routes[1].fields == {} and routes[2].value == 7
    assert routes_of({}) == routes_of({"routes": "x", "route": None}) == []


# --- The guard's rules ---------------------------------------------------------------------------


def test_guard_rules_without_the_runtime(rendered: Render) -> None:
    """The guard's own `load` answers on a machine that has no `js` and no `workers` module, and
    an imported `guard` stays what it is."""
    before = sys.modules.get("guard")
    root = rendered(profile="personal")
    good = {"TEAM_DOMAIN": "acme", "POLICY_AUD": "0" * 64, "ALLOWED_EMAILS": "Ann@Example.com"}
    settings = guard_rules.settings(root, good)
    assert settings.issuer == "https://acme.cloudflareaccess.com"
    assert settings.emails == {"ann@example.com"} and settings.service_tokens == set()
    with pytest.raises(guard_rules.NotConfigured, match="^POLICY_AUD is missing") as caught:
        guard_rules.settings(root, {"TEAM_DOMAIN": "acme"})
    assert (caught.value.setting, caught.value.problem[:10]) == ("POLICY_AUD", "is missing")
    assert guard_rules.ask(root, "values", "strings", "A", "x, y") == ["x", "y"]
    with pytest.raises(guard_rules.NotConfigured, match="^A "):
        guard_rules.ask(root, "values", "strings", "A", 7)
    assert sys.modules.get("guard") is before


def test_guards_of_two_projects(rendered: Render) -> None:
    """Each project is judged by its own guard."""
    good = {"TEAM_DOMAIN": "acme", "POLICY_AUD": "0" * 64, "ALLOWED_EMAILS": "ann@example.com"}
    both = {**good, "ALLOWED_SERVICE_TOKENS": "x.access"}
    assert not guard_rules.settings(rendered(profile="personal"), both).service_tokens
    assert guard_rules.settings(rendered(profile="production"), both).service_tokens


def test_guard_that_cannot_be_read(rendered: Render, tmp_path: Path) -> None:
    """A project without an address has no `settings`; and a file is broken: one line each."""
    broken = project(rendered, tmp_path, profile="personal")
    (broken / "src" / "guard" / "values.py").write_text("def (")
    for root in (rendered(profile="internal"), broken):
        with pytest.raises(Problem, match="^src/guard cannot be read: .*copier recopy") as caught:
            guard_rules.settings(root, {})
        assert "\n" not in str(caught.value)
