"""What wrangler.jsonc and src/events.py say of each other.

A cron without a handler fails each time, and a handler without a cron never runs. src/events.py is
read and not run: what it makes by other means than `def`, `class` and `import` is not seen.
"""

import ast
import re
from collections.abc import Iterator
from inspect import CO_ASYNC_GENERATOR
from typing import Any

from ..config import Block
from ..project import Problem
from ..text import read
from .finding import Finding, Findings, Rules

EVENTS = "src/events.py"
# What calls a handler: the way to it in wrangler.jsonc, and the handler.
CALLED = ((("triggers", "crons"), "scheduled"), (("queues", "consumers"), "queue"))
ARGUMENTS = {"scheduled": "event, env", "queue": "batch, env"}
OBJECTS, WORKFLOWS = ("durable_objects", "bindings"), ("workflows",)


class Code(Rules):
    """The rules for events."""

    def findings(self) -> Findings:
        """All that one of the two has and the other has not."""
        try:
            defined, classes = look(read(self.project.root / EVENTS))
        except (Problem, SyntaxError):  # the tests say that better
            return
        for block in self.config.blocks():
            yield from self.handlers(block, defined)
            if classes is not None:
                yield from self.classes(block, classes)
        yield from self.unused(defined, classes or set())
        yield from self.migrations(classes or set())

    def handlers(self, block: Block, defined: set[str]) -> Findings:
        """Crons and consumers that call nothing."""
        for way, handler in CALLED:
            pushed = [item for item in listed(block, way) if not is_pulled(item)]
            if pushed and handler not in defined:
                wrong = f"calls {handler}, which is not an async function in {EVENTS}"
                fix = f"Write there: async def {handler}({ARGUMENTS[handler]}), or delete it here."
                yield self.at((*block.path, *way), "no-code", wrong, fix)

    def classes(self, block: Block, there: set[str]) -> Findings:
        """Bindings to classes that this Worker does not export."""
        for way, name in own_classes(block):
            if name not in there:
                wrong = f"names {name}, which is not in CLASSES of {EVENTS}"
                fix = f"Write the class there, and: CLASSES = ({name},)"
                yield self.at((*block.path, *way), "no-code", wrong, fix)

    def unused(self, defined: set[str], there: set[str]) -> Findings:
        """Handlers and classes that nothing in wrangler.jsonc leads to."""
        blocks = self.config.blocks()
        for way, handler in CALLED:
            if handler in defined and not any(listed(block, way) for block in blocks):
                fix = f'Add to wrangler.jsonc: "{way[0]}": {{ "{way[1]}": [...] }},'
                yield Finding("no-configuration", EVENTS, 0, f"Nothing calls {handler}", fix)
        used = {name for block in blocks for _, name in own_classes(block)}
        for name in sorted(there - used):
            fix = 'Name it as a "class_name" in "durable_objects" or "workflows".'
            yield Finding("no-configuration", EVENTS, 0, f"Nothing binds to {name}", fix)

    def migrations(self, there: set[str]) -> Findings:
        """Classes of Durable Objects that Cloudflare would not take: they need a migration.

        https://developers.cloudflare.com/durable-objects/reference/durable-objects-migrations/
        """
        exports = self.config.data.get("exports")
        made = set(exports) if isinstance(exports, dict) else set()
        for step in listed(self.config.block(None), ("migrations",)):
            if isinstance(step, dict):
                made |= set(re.findall(r"'(\w+)'", str({**step, "deleted_classes": ""})))
                made -= set(re.findall(r"'(\w+)'", str(step.get("deleted_classes"))))
        for way, name in own_classes(self.config.block(None)):
            if way == OBJECTS and name in there and name not in made:
                fix = f'Add: "migrations": [{{ "tag": "v1", "new_sqlite_classes": ["{name}"] }}],'
                yield self.at(way, "no-migration", f"names {name}, which no migration makes", fix)


def listed(block: Block, way: tuple[str, ...]) -> list[Any]:
    """What stands in a list of a block; nothing when it is no list."""
    found: Any = block.settings
    for key in way:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, list) else []


def is_pulled(consumer: object) -> bool:
    """Whether it is a consumer elsewhere, which calls nothing here."""
    return isinstance(consumer, dict) and consumer.get("type") == "http_pull"


def own_classes(block: Block) -> Iterator[tuple[tuple[str, ...], str]]:
    """The classes of this Worker that a block binds to, each with the way to the list."""
    for way in (OBJECTS, WORKFLOWS):
        for item in listed(block, way):
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
