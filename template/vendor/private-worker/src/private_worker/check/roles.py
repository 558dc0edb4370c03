"""The roles that the code asks for, against those that `ROLES` has in each environment.

src/ is read and not run: of a role whose name is only made at run time nothing is said.
"""

import ast
from collections.abc import Iterator

from .. import guard_rules
from ..config import Config
from ..project import Project
from .finding import Findings, at

NAME = "ROLES"


def findings(config: Config, project: Project) -> Findings:
    """Roles that nobody can have, and roles that nothing asks for."""
    asked: dict[str | None, str] = {}  # each role, and where it is asked for first
    for role, where in asked_for(project):
        asked.setdefault(role, where)
    open_ended, above = asked.pop(None, None), NAME in config.block(None).vars
    for block in config.blocks():
        try:
            defined = guard_rules.load(project.root, "roles", block.vars.get(NAME)).keys()
        except guard_rules.NotConfigured:  # `configuration` says it
            continue
        for role in () if open_ended else sorted(defined - asked.keys()):
            wrong = f"has {role}, which nothing in src/ asks for"
            fix = "Delete it, or require it where it is meant to count."
            yield at(config, (*block.path, "vars", NAME), "unused-role", wrong, fix)
        if block.path and above and NAME not in block.vars:
            continue  # `keys` says it
        for role in sorted(map(str, asked.keys() - defined)):
            wrong = f"has nobody in the role {role}, which {asked[role]} asks for"
            fix = f'Write there: "{NAME}": {{ "{role}": ["ann@example.com"] }},'
            yield at(config, (*block.path, "vars"), "no-role", wrong, fix)


def asked_for(project: Project) -> Iterator[tuple[str | None, str]]:
    """Each role that is asked for, with the place; None for one that is no plain text there."""
    source = project.root / "src"
    for path in sorted(source.rglob("*.py")):
        if path.is_relative_to(source / "guard") or path == source / "bridge.py":
            continue
        try:
            nodes = list(ast.walk(ast.parse(path.read_bytes())))
        except (OSError, SyntaxError, ValueError):  # the tests say that better
            continue
        compared = {id(node.comparators[0]) for node in nodes if isinstance(node, ast.Compare)}
        for node in nodes:
            role: ast.AST | None = None
            if isinstance(node, ast.Call):
                role = required(node)
            elif isinstance(node, ast.Compare) and is_roles(node.comparators[0]):
                role = node.left
            elif is_roles(node) and id(node) not in compared:
                role = node
            if role is not None:
                said = getattr(role, "value", None) if isinstance(role, ast.Constant) else None
                name = path.relative_to(project.root).as_posix()
                yield said, f"{name}:{getattr(role, 'lineno', 0)}"


def is_roles(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "roles"


def required(call: ast.Call) -> ast.expr | None:
    """The role of `guard.require(identity, role, kind=...)` or `bridge.require(role, kind=...)`."""
    module, _, name = ast.unparse(call.func).rpartition(".")
    if name != "require":
        return None
    given = {word.arg: word.value for word in call.keywords}
    first = call.args[:1] if module == "bridge" or "kind" not in given else []
    constant = [each for each in call.args if isinstance(each, ast.Constant)]
    return given.get("role") or next(iter(call.args[1:2] or constant or first), None)
