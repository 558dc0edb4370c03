"""What wrangler.jsonc and src/events.py say of each other.

A cron without a handler fails each time, and a handler without a cron never runs. src/events.py is
read and not run: what it makes by other means than `def`, `class` and `import` is not seen.
"""

import ast
import re
from collections.abc import Iterator
from inspect import CO_ASYNC_GENERATOR

from ..config import Block, Config
from ..project import Problem, Project
from ..text import read
from .finding import Finding, Findings, at

EVENTS = "src/events.py"
# What calls a handler: the way to it in wrangler.jsonc, and the handler.
CALLED = ((("triggers", "crons"), "scheduled"), (("queues", "consumers"), "queue"))
ARGUMENTS = {"scheduled": "event, env", "queue": "batch, env"}
OBJECTS, WORKFLOWS = ("durable_objects", "bindings"), ("workflows",)


def findings(config: Config, project: Project) -> Findings:
    """All that one of the two has and the other has not."""
    try:
        defined, classes = look(read(project.root / EVENTS))
    except (Problem, SyntaxError):  # the tests say that better
        return
    uncalled, unbound = defined & ARGUMENTS.keys(), set(classes or ())
    made = migrated(config)
    for block in config.blocks():
        for way, handler in CALLED:
            items = block.items(*way)
            if items:
                uncalled.discard(handler)
            # A consumer elsewhere pulls, and calls nothing here.
            pulled = [isinstance(one, dict) and one.get("type") == "http_pull" for one in items]
            if handler not in defined and not all(pulled):
                wrong = f"calls {handler}, which is not an async function in {EVENTS}"
                fix = f"Write there: async def {handler}({ARGUMENTS[handler]}), or delete it here."
                yield at(config, (*block.path, *way), "no-code", wrong, fix)
        for binds, name in own_classes(block):
            unbound.discard(name)
            if classes is not None and name not in classes:
                wrong = f"names {name}, which is not in CLASSES of {EVENTS}"
                fix = f"Write the class there, and: CLASSES = ({name},)"
                yield at(config, (*block.path, *binds), "no-code", wrong, fix)
            elif classes and binds == OBJECTS and not block.path and name not in made:
                wrong = f"names {name}, which no migration makes"
                fix = f'Add: "migrations": [{{ "tag": "v1", "new_sqlite_classes": ["{name}"] }}],'
                yield at(config, binds, "no-migration", wrong, fix)
    for way, handler in CALLED:
        if handler in uncalled:
            fix = f'Add to wrangler.jsonc: "{way[0]}": {{ "{way[1]}": [...] }},'
            yield Finding("no-configuration", EVENTS, 0, f"Nothing calls {handler}", fix)
    for name in sorted(unbound):
        fix = 'Name it as a "class_name" in "durable_objects" or "workflows".'
        yield Finding("no-configuration", EVENTS, 0, f"Nothing binds to {name}", fix)


def migrated(config: Config) -> set[str]:
    """The classes of Durable Objects that Cloudflare takes: those that a migration made.

    https://developers.cloudflare.com/durable-objects/reference/durable-objects-migrations/
    """
    top = config.block(None)
    made = set(top.object("exports"))
    for step in top.items("migrations"):
        if isinstance(step, dict):
            made |= set(re.findall(r"'(\w+)'", str({**step, "deleted_classes": ""})))
            made -= set(re.findall(r"'(\w+)'", str(step.get("deleted_classes"))))
    return made


def own_classes(block: Block) -> Iterator[tuple[tuple[str, ...], str]]:
    """The classes of this Worker that a block binds to, each with the way to the list."""
    for way in (OBJECTS, WORKFLOWS):
        for item in block.items(*way):
            if isinstance(item, dict) and "script_name" not in item:
                yield way, str(item.get("class_name"))


def is_handler(node: ast.AsyncFunctionDef) -> bool:
    """Whether a function can be called with an event and `env`, and awaited."""
    given, named = node.args, len(node.args.posonlyargs + node.args.args)
    fits = named - len(given.defaults) <= 2 and (named >= 2 or given.vararg is not None)
    made = compile(ast.Module([node], []), EVENTS, "exec").co_consts
    yields = any(getattr(each, "co_flags", 0) & CO_ASYNC_GENERATOR for each in made)
    return fits and None not in given.kw_defaults and not yields


def look(source: str) -> tuple[set[str], set[str] | None]:
    """What a module defines that can be called with `await`, and the names in its CLASSES.

    The latter is None when it cannot be told. Raises SyntaxError.
    """
    defined: set[str] = set()
    classes: set[str] | None = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.AsyncFunctionDef):
            if node.name not in ARGUMENTS or is_handler(node):
                defined.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            defined |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if node.value is not None and not isinstance(node.value, ast.Constant):
                defined |= names
            if "CLASSES" in names:
                found = getattr(node.value, "elts", [None])
                if isinstance(node, ast.AugAssign):  # what it adds to is not looked for
                    found = [None]
                plain = {each.id for each in found if isinstance(each, ast.Name)}
                classes = plain if len(plain) == len(found) else None
    return defined, classes
