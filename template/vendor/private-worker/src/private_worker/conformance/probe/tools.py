"""The tools behind the guard in these tests: what they get, what they give, and mistakes."""

import asyncio
import functools
from types import ModuleType
from typing import Any, Literal

from guard import BadRequest, require
from mcp_server import Server, ToolError, tool

calls = 0


@tool
async def whoami(identity, env):
    """Say who calls.

    The second paragraph.
    """
    return {"identity": identity.as_dict(), "env": type(env).__name__}


@tool
async def count():
    """Say how often this was called."""
    global calls
    calls += 1
    return calls


@tool
async def everything(
    text: str,
    words: list[str],
    identity,
    numbers: dict[str, list[float]],
    choice: Literal["a", 2] = "a",
    *,
    maybe: int | None = None,
):
    """Take one of each."""
    return {"given": [text, words, numbers, choice, maybe], "kind": identity.kind}


@tool(role="admin")
async def for_admins():
    """Only for a role."""
    return "done"


@tool(kind="machine")
async def for_programs():
    """Only for a kind of caller."""
    return "done"


@tool(role="admin", kind="human")
async def for_human_admins():
    """Only for a role and a kind of caller."""
    return "done"


@tool
async def asks_inside(identity):
    """For everybody, until it is called."""
    require(identity, "admin")
    return "done"


endless: list[Any] = []
endless.append(endless)


@tool
async def collects(items: list[str] = []):  # noqa: B006
    """Keep something."""
    items.append("mine")
    return {"items": items}


@tool
async def gives(what: str):
    """Give something back."""
    return {
        "text": "gr\u00fc\u00df \U0001f600",
        "nothing": None,
        "number": 1.5,
        "list": [1, {"a": None}],
        "object": {"a": [True]},
        "half a letter": "\ud800",
        "half a name": {"\ud800": 1},
        "endless": endless,
        "not a number": {"a": float("nan")},
        "a set": {1},
    }[what]


@tool
async def fails(how: str):
    """Make a mistake."""
    raise {
        "says why": ToolError("It is closed on Sundays."),
        "bad request": BadRequest("only for the log"),
        "mistake": RuntimeError("only for the log"),
        "cancelled": asyncio.CancelledError("only for the log"),
        "exit": SystemExit("only for the log"),
    }[how]


def taking(name: str, hint: Any) -> Any:
    """A tool with one parameter of this type, which says what it got."""

    async def function(value):
        return {"value": value, "type": type(value).__name__}

    function.__name__, function.__doc__ = name, "Take a value."
    function.__annotations__ = {"value": hint}
    return tool(function)


text = taking("text", str)
whole = taking("whole", int)
number = taking("number", float)
yes = taking("yes", bool)
texts = taking("texts", list[str])
table = taking("table", dict[str, int])
choice = taking("choice", Literal["a", 1, True, None])
some = taking("some", str | None)
either = taking("either", int | list[bool])


async def without_a_tool():
    """Not marked, so no agent can call it."""
    return "never"


@tool
async def definitions():
    """What could not be called is no tool: the error for each."""

    async def good(a: str):
        """Fine."""

    async def no_docstring(a: str):
        pass

    async def no_type(a):
        """Nothing says what to send."""

    async def other_type(a: bytes):
        """JSON has no bytes."""

    async def keys_of_numbers(a: dict[int, str]):
        """JSON has no such keys."""

    async def bare_list(a: list):
        """Of what?"""

    async def any_number(*a: str):
        """Nobody could name them."""

    async def by_place(a: str, /):
        """Nobody could name it."""

    async def identity_by_place(identity, /):
        """Not even the Worker could name it."""

    async def of_another_type(a: int = "x"):  # type: ignore[assignment]
        """Not what it says."""

    async def none(a: str = None):  # type: ignore[assignment]
        """Not what it says."""

    async def infinite(a: float = float("inf")):
        """JSON has no such number."""

    async def half_a_letter(a: str = "\ud800"):
        """UTF-8 has no such letter."""

    async def not_among_them(a: Literal["x"] = "z"):  # type: ignore[assignment]
        """Not what it says."""

    def not_async():
        """Nobody waits for it."""

    found = {}
    for function in (
        *(no_docstring, no_type, other_type, keys_of_numbers, bare_list, any_number, by_place),
        *(identity_by_place, of_another_type, none, infinite, half_a_letter, not_among_them),
        not_async,
    ):
        try:
            tool(function)
        except TypeError as error:
            found[function.__name__] = str(error)
    try:
        tool(good, kind="robot")
    except ValueError as error:
        found["robot"] = str(error)
    try:
        tool("admin")
    except TypeError as error:
        found["a word"] = str(error)
    tool(good)

    @functools.wraps(good)
    async def around(a: str):
        raise ToolError("never")

    @tool
    async def another(a: str):
        """Fine."""

    another.mcp_tool.name = "good"
    for name, others in {"wrapped": [around], "twice": [good, another]}.items():
        module = ModuleType(name)
        vars(module).update({str(number): each for number, each in enumerate(others)})
        try:
            Server("x", module)
        except TypeError as error:
            found[name] = str(error)
    return found
