"""Every check of the guard taken out or loosened, one at a time, found in the source with `ast`.

mutations.py holds what somebody thought of; this finds what nobody did. generated_mutations.txt
says for each change which test notices it, and mutation_run.py runs that test with the change.
After a change of the guard,

    uv run python tests/guard/mutation_run.py --write

tries the suite on whatever has no line in generated_mutations.txt yet, until a test notices, and
writes the file. What nothing can notice belongs into EQUIVALENT.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

TABLE = Path(__file__).with_name("generated_mutations.txt")

# test_keys.py takes long: this is tried before.
QUICK = tuple(
    f"test_keys.py::test_{name}"
    for name in (
        *("every_key_of_the_set_counts", "unusable_keys_are_passed_over", "usable_key"),
        *("fresh_for_an_hour", "old_keys_are_kept_for_a_day", "key_that_left_the_set"),
        *("rotation", "rotation_is_seen_after_the_cooldown", "failed_attempt_starts_the_cooldown"),
        *("failed_first_attempt_starts_the_cooldown", "late_answer_does_not_replace_a_later_one"),
        *("key_replaced_under_its_id", "odd_entries_harm_no_others", "key_without_an_id"),
        *("two_keys_with_one_id", "largest_set", "largest_answer", "short_keys", "longest_key"),
        *("answer_without_keys", "slow_attempt_does_not_end_the_cooldown_of_a_later_one"),
        *("most_cold_requests_at_once", "cold_requests_at_once"),
        "forged_tokens_do_not_use_the_attempts_up",
        *("failed_cold_requests_are_forgotten", "flood_of_unknown_key_ids"),
    )
)

# The files that decide, each with the tests that may notice, the likeliest first.
FILES: dict[str, tuple[str, ...]] = {
    "token.py": ("test_claims.py", "test_token.py", "test_proof.py"),
    "keys.py": ("test_known.py", "test_keys.py"),
    "identity.py": ("test_claims.py", "test_people.py", "test_machines.py", "test_proof.py")
    + ("test_roles.py", "test_log_who.py"),
    "settings.py": ("test_settings.py", "test_people.py", "test_machines.py", "test_answers.py")
    + ("test_roles.py", "test_log_who.py"),
    "gate.py": ("test_proof.py", "test_known.py", "test_token.py", "test_claims.py")
    + ("test_log_who.py",),
    "strictjson.py": ("test_token.py", "test_claims.py", "test_api_border.py"),
    "values.py": ("test_settings.py", "test_people.py", "test_roles.py"),
    "roles.py": ("test_roles.py",),
    "who.py": ("test_log_who.py",),
    "log.py": ("test_log_who.py", "test_answers.py", "test_api_border.py", "test_bound_rpc.py")
    + ("test_upstream.py", "test_limit.py"),
    "edge.py": ("test_answers.py", "test_api_border.py", "test_log_who.py", "test_limit.py"),
    "bound.py": ("test_bound_rpc.py", "test_bound_fetch.py", "test_roles.py", "test_log_who.py")
    + ("test_limit.py",),
    "limit.py": ("test_limit.py",),
    "body.py": ("test_api_border.py",),
    "events.py": ("test_events.py", "test_reachable.py"),
    "entrypoint.py": ("test_reachable.py", "test_bound_rpc.py", "test_events.py"),
}
# Where only some kinds of callers are let in: what does nothing in a project for everybody.
OTHER_SHAPES = {
    "people": ("test_no_machines.py", "test_people.py", "test_settings.py"),
    "machines": ("test_no_people.py", "test_machines.py", "test_settings.py"),
}


def candidates(file: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Shapes with the tests there that may notice a change of the file, the likeliest first."""
    if file == "keys.py":
        yield "everybody", QUICK
    yield "everybody", FILES[file]
    if file in ("identity.py", "settings.py"):  # the kinds of callers matter nowhere else
        yield from OTHER_SHAPES.items()
    if file == "strictjson.py":  # FastAPI parses JSON once more, and takes other encodings
        yield "fastapi", FILES["body.py"]


INSTANT = "differs in one instant of a clock that goes on"

# What changes nothing that anybody could notice, and why.
EQUIVALENT: dict[str, dict[str, str]] = {
    "body.py": {'read_form: without ""': "a form of no type is none, whatever stands for no type"},
    "token.py": {
        "module: MAX_HEADER = 2 * 1024 + 1": "no base64url text has 2049 characters",
        "parse: without not text.isascii()": "decode() refuses all but ASCII as well",
        "parse: without len(parts) != 3": "the assignment to three names fails, which is caught",
        "claims: expires <= now - LEEWAY -> expires < now - LEEWAY": INSTANT,
        "claims: starts > now + LEEWAY -> starts >= now + LEEWAY": INSTANT,
        "expiry: assert _is_time(value) -> pass": "claims() has checked it; this is for mypy",
        "_is_time: without math.isfinite(value)": "strict JSON has no other numbers",
    },
    "keys.py": {
        "KeySet.find: now - self._fetched_at > KEPT -> now - self._fetched_at >= KEPT": INSTANT,
        "KeySet.find: now < self._next_attempt -> now <= self._next_attempt": INSTANT,
        "KeySet.holds: platform.now() - self._fetched_at <= KEPT -> "
        "platform.now() - self._fetched_at < KEPT": INSTANT,
        "KeySet.find: now - self._fetched_at > FRESH -> now - self._fetched_at >= FRESH": INSTANT,
        "KeySet._may_attempt: now < self._next_attempt -> now <= self._next_attempt": INSTANT,
        "KeySet._may_attempt: now - self._cold_since > COOLDOWN -> "
        "now - self._cold_since >= COOLDOWN": INSTANT,
        "KeySet._refresh: now >= self._fetched_at -> now > self._fetched_at": INSTANT,
        "KeySet._usable: imported is not None -> True": "Node imports every key that acceptable() "
        "lets through; a runtime that did not would refuse the token a step later",
    },
    "gate.py": {
        "Gate._recall: platform.now() < until -> platform.now() <= until": INSTANT,
        "Gate._recall: del self._known[text] -> pass": "never believed again, replaced or pushed "
        "out like any other",
    },
    "strictjson.py": {
        'too_deep: data.count(b"[") + data.count(b"{") <= MAX_NESTING -> False': "a short cut",
        r'loads: b"\\u" in data -> True': "a short cut",
        'too_deep: data.count(b"[") + data.count(b"{") <= MAX_NESTING -> '
        'data.count(b"[") + data.count(b"{") < MAX_NESTING': "a short cut",
    },
    "log.py": {
        "allowed: who.mode != NONE -> True": "a list that nobody reads",
        "failure: without error": "there always is one",
    },
    "bound.py": {
        "WithMethods.__init_subclass__: super().__init_subclass__(**kwargs) -> pass": "hands on "
        "arguments that nobody gives",
        "_exposed: answer.__name__ = method.__name__ -> pass": "only for whoever reads a traceback",
        "serve: log.unexpected(error, request) -> pass": "nothing is known that raises there",
        "_call: log.unexpected(error, None) -> pass": "nothing is known that raises there",
        "_check_result: None | bool | int | float | str | bytes -> "
        "None | int | float | str | bytes": "a bool is an int",
    },
    "entrypoint.py": {
        'Entrypoint.__getattribute__: without name != "__dict__"': "data that nobody can call; it "
        "stays for the runtime",
    },
}

# Limits that are times. The tests' clock goes on by itself, so these are halved and doubled; all
# other limits are moved by one.
TIMES = {"LEEWAY", "FRESH", "KEPT", "COOLDOWN", "TIMEOUT", "KNOWN_FOR"}
SIGNS: dict[type[ast.cmpop], str] = {
    **{ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="},
    **{ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not"},
}
MOVED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
OTHER_NAMES = {"all": "any", "any": "all", "fullmatch": "match"}


@dataclass(frozen=True)
class Removal:
    """A check taken out. `text` is the whole file without it."""

    file: str
    change: str
    text: str


@cache
def removals(file: str, source: str) -> list[Removal]:
    """All of them, in the order of the source. Of two that give the same program, the first."""
    found: list[Removal] = []
    names: set[str] = set()
    programs = {program(source)}
    for where, node, new, say in _Finder(source).found():
        text = _replaced(source, node, new)
        if program(text) in programs:
            continue
        programs.add(program(text))
        name = change = f"{where}: {say}"
        while name in names:  # the same words twice in one function
            name = f"{change} ({sum(each.startswith(change) for each in names) + 1})"
        names.add(name)
        found.append(Removal(file, name, text))
    return found


@cache
def program(source: str) -> str:
    """Equal for sources that differ only in their layout."""
    return ast.dump(ast.parse(source))


def _replaced(source: str, node: ast.AST, new: str) -> str:
    """The source with other text where the node is. Columns are counted in UTF-8 bytes."""
    assert isinstance(node, ast.expr | ast.stmt) and node.end_lineno and node.end_col_offset
    whole = source.encode()
    starts = [0, *accumulate(map(len, whole.splitlines(keepends=True)))]
    start = starts[node.lineno - 1] + node.col_offset
    end = starts[node.end_lineno - 1] + node.end_col_offset
    return (whole[:start] + new.encode() + whole[end:]).decode()


Found = tuple[str, ast.AST, str, str]  # function, what is replaced, by what, in words


class _Finder:
    def __init__(self, source: str) -> None:
        self.source = source
        self.where: list[str] = []
        self.decides = False  # whether the function returns a bool

    def found(self) -> Iterator[Found]:
        yield from self._inside(ast.parse(self.source))

    def _code(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.source, node) or ""

    def _change(self, node: ast.AST, new: str, say: str = "") -> Found:
        old = " ".join(self._code(node).split())
        short = old if len(old) < 80 else f"{old[:60]} ... {old[-15:]}"
        return ".".join(self.where) or "module", node, new, say or f"{short} -> {new}"

    def _inside(self, node: ast.AST) -> Iterator[Found]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                before = self.decides
                self.where.append(child.name)
                if not isinstance(child, ast.ClassDef):
                    returns = self._code(child.returns) if child.returns else ""
                    self.decides = returns == "bool" or returns.startswith("TypeGuard")
                yield from self._inside(child)
                self.where.pop()
                self.decides = before
            else:
                yield from self._one(child)
                yield from self._inside(child)

    def _one(self, node: ast.AST) -> Iterator[Found]:
        """What can be taken out of this very node; `_inside` goes on to those below it."""
        match node:
            case ast.If() | ast.IfExp() | ast.While():
                yield from self._fixed(node.test)
            case ast.Return(value=ast.Constant(value=bool() as value)):
                yield self._change(node, f"return {not value}")
            case ast.Return(value=ast.Constant(value=0)):
                yield self._change(node, "return MIN_BITS")  # a number that would do
            case ast.Return(value=ast.expr() as value) if self.decides:
                yield from self._fixed(value)
            case ast.Assign(value=ast.Compare() as value):
                yield from self._fixed(value)
            case ast.comprehension():
                for condition in node.ifs:
                    yield from self._fixed(condition)
            case ast.BoolOp():
                yield from self._operands(node)
            case ast.Compare():
                yield from self._links(node)
            case ast.Call():
                yield from self._call(node)
            case ast.For(iter=ast.Tuple(elts=elements)) | ast.Set(elts=elements):
                names = node.iter if isinstance(node, ast.For) else node
                yield from self._elements(names, elements)
        yield from self._statement(node)

    def _fixed(self, test: ast.expr) -> Iterator[Found]:
        for value in ("False", "True"):
            yield self._change(test, value)

    def _operands(self, node: ast.BoolOp) -> Iterator[Found]:
        word = " and " if isinstance(node.op, ast.And) else " or "
        for dropped in node.values:
            rest = [self._code(each) for each in node.values if each is not dropped]
            new = word.join(f"({each})" for each in rest)
            yield self._change(node, new, f"without {' '.join(self._code(dropped).split())}")

    def _links(self, node: ast.Compare) -> Iterator[Found]:
        terms = [self._code(each) for each in (node.left, *node.comparators)]
        signs = [SIGNS[type(each)] for each in node.ops]
        for place, sign in enumerate(signs):
            if sign in MOVED:
                moved = [*signs[:place], MOVED[sign], *signs[place + 1 :]]
                rest = (f" {sign} {term}" for sign, term in zip(moved, terms[1:], strict=True))
                yield self._change(node, terms[0] + "".join(rest))
        if len(signs) == 2:  # each of a < b < c alone
            for place in (0, 1):
                yield self._change(node, f"{terms[place]} {signs[place]} {terms[place + 1]}")

    def _call(self, node: ast.Call) -> Iterator[Found]:
        match node.func:
            case ast.Name(id="all" | "any") | ast.Attribute(attr="fullmatch"):
                old = self._code(node.func)
                last = old.rpartition(".")[2]
                yield self._change(node.func, old.removesuffix(last) + OTHER_NAMES[last])
            case ast.Name(id="isinstance"):
                kinds = [self._code(each) for each in _union(node.args[1])]
                for dropped in kinds if len(kinds) > 1 else ():
                    rest = " | ".join(kind for kind in kinds if kind != dropped)
                    yield self._change(node.args[1], rest)
            case ast.Name(id="min" | "max") if len(node.args) == 2:
                for argument in node.args:
                    yield self._change(node, self._code(argument))
            case ast.Attribute(attr="get") if len(node.args) == 2:
                receiver, name = self._code(node.func), self._code(node.args[0])
                yield self._change(node, f"{receiver}({name})")
        for argument in node.args:
            if isinstance(argument, ast.GeneratorExp) and self._code(node.func) in OTHER_NAMES:
                yield from self._fixed(argument.elt)

    def _elements(self, node: ast.expr, elements: list[ast.expr]) -> Iterator[Found]:
        if not all(isinstance(each, ast.Constant) for each in elements):
            return
        for dropped in elements:
            rest = ", ".join(self._code(each) for each in elements if each is not dropped)
            new = f"{{{rest}}}" if isinstance(node, ast.Set) else f"({rest},)"
            yield self._change(node, new, f"without {self._code(dropped)}")

    def _statement(self, node: ast.AST) -> Iterator[Found]:
        match node:
            case ast.Expr(value=ast.Call() | ast.Await()) | ast.Assert() | ast.Delete():
                yield self._change(node, "pass")
            case ast.Continue() | ast.AugAssign():
                yield self._change(node, "pass")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                if "__init__" not in self.where:
                    yield self._change(node, "pass")
            case ast.Assign(targets=[target]) if not self.where:
                yield from self._limits(target, node.value)

    def _limits(self, target: ast.expr, value: ast.expr) -> Iterator[Found]:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for each, its_value in zip(target.elts, value.elts, strict=True):
                yield from self._limits(each, its_value)
        elif isinstance(value, ast.Tuple):
            yield from self._elements(value, value.elts)
        elif not self._code(value).strip("0123456789 *"):
            name, number = self._code(target), self._code(value)
            for step in (" * 2", " / 2") if name in TIMES else (" + 1", " - 1"):
                yield self._change(value, number + step, f"{name} = {number}{step}")


def _union(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [*_union(node.left), *_union(node.right)]
    return [node]


Table = dict[tuple[str, str], str]  # file and change to the test that notices


def table() -> Table:
    """generated_mutations.txt: a file in brackets, then two lines for each change."""
    found: Table = {}
    file = change = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            file = line.strip("[]")
        elif line.startswith("    "):
            found[file, change] = line.strip()
        else:
            change = line
    return found


def write(rows: Table) -> None:
    """The rows in the order they come in, by file."""
    text = ""
    for file in FILES:
        text += f"{chr(10) if text else ''}[{file}]\n"
        for (of, change), test in rows.items():
            if of == file:
                text += f"{change}\n    {test}\n"
    TABLE.write_text(text, encoding="utf-8")
