"""The roles that the code asks for, against those that `ROLES` has in each environment.

src/ is read and not run: of a role whose name is only made at run time nothing is said.
"""

import ast
import re
from collections.abc import Iterator
from difflib import get_close_matches

from .. import guard_rules
from ..config import Config
from ..project import Project
from .finding import Findings, at

NAME = "ROLES"
OTHERS = ("bridge.py", "mcp_server.py")  # of src/, which hand on what they are given
OURS = ("identity.roles", "caller.roles")  # as they are called in what the template gives


def findings(config: Config, project: Project) -> Findings:
    """Roles that nobody can have, and roles that nothing asks for."""
    asked: dict[str | None, str] = {}  # each role, and where it is asked for first
    for role, where in asked_for(project):
        asked.setdefault(role, where)
    open_ended, above = asked.pop(None, None), NAME in config.block(None).vars
    for block in config.blocks():
        try:
            defined = guard_rules.ask(project.root, "roles", "load", block.vars.get(NAME)).keys()
        except guard_rules.NotConfigured:  # `configuration` says it
            continue
        for role in () if open_ended else sorted(defined - asked.keys()):
            wrong = f"has {role}, which nothing in src/ asks for"
            fix = "Delete it, or require it where it is meant to count."
            yield at(config, (*block.path, "vars", NAME), "unused-role", wrong, fix)
        if block.path and above and NAME not in block.vars:
            continue  # `keys` says it
        for role in sorted(filter(None, asked.keys() - defined)):
            wrong = f"has nobody in the role {role}, which {asked[role]} asks for"
            near = get_close_matches(role, defined, 1)
            fix = f'Write "{near[0]}", or add to ' if near else "Add to "
            fix += f"{'.'.join((*block.path, 'vars', NAME))}: " + f'"{role}": [...]'
            if not re.fullmatch("[a-z][a-z0-9_-]{0,31}", role):
                fix = "Name it in lower-case letters, digits, _ and -, with a letter in front."
            yield at(config, (*block.path, "vars"), "no-role", wrong, fix)


def asked_for(project: Project) -> Iterator[tuple[str | None, str]]:
    """Each role that is asked for, with the place; None for one that is no plain text there."""
    source = project.root / "src"
    for path in sorted(source.rglob("*.py")):
        if path.is_relative_to(source / "guard") or path.parent == source and path.name in OTHERS:
            continue
        try:
            nodes = list(ast.walk(ast.parse(path.read_bytes())))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # the tests say that better
        compared = {id(node.comparators[0]) for node in nodes if isinstance(node, ast.Compare)}
        ours = whose(nodes)
        for node in nodes:
            role: ast.AST | None = None
            if isinstance(node, ast.Call):
                role = required(node, ours)
            elif isinstance(node, ast.Compare) and is_roles(node.comparators[0]):
                # Members of a chat, say, have roles as well.
                role = node.left if dotted(node.comparators[0]) in OURS else node
            elif is_roles(node) and id(node) not in compared:
                role = node
            if role is not None:
                said = role.value if isinstance(role, ast.Constant) else None
                name = path.relative_to(project.root).as_posix()
                place = f"{name}:{getattr(role, 'lineno', 0)}"
                yield said if isinstance(said, str) else None, place


def is_roles(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "roles"


def dotted(node: ast.AST) -> str:
    """`name` or `name.attribute`, "" for everything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def whose(nodes: list[ast.AST]) -> dict[str, str]:
    """What the functions that ask for a role are called in a file, and of which module each is."""
    asking = dict.fromkeys(("guard", "guard.roles", "bridge"), "require") | {"mcp_server": "tool"}
    found = {f"{module}.{name}": module for module, name in asking.items()}
    for node in nodes:
        if isinstance(node, ast.Import):
            named = [one for one in node.names if one.name in asking]
            found |= {f"{one.asname}.{asking[one.name]}": one.name for one in named}
        elif isinstance(node, ast.ImportFrom) and node.module in asking:
            wanted = asking[node.module]
            names = [one.asname or one.name for one in node.names if one.name == wanted]
            found |= dict.fromkeys(names, node.module)
    return found


def required(call: ast.Call, ours: dict[str, str]) -> ast.AST | None:
    """The role of `guard.require(identity, role)`, `bridge.require(role)` or `tool(role=...)`.

    The call itself where it cannot be read off: another `require` may hand on to one of these.
    """
    name = dotted(call.func)
    if name not in ours:
        return call if getattr(call.func, "attr", name) == "require" else None
    given = {word.arg: word.value for word in call.keywords}
    if None in given or any(isinstance(each, ast.Starred) for each in call.args):
        return call
    place = 0 if ours[name] == "bridge" else 1
    return given.get("role") or next(iter(call.args[place : place + 1]), None)
