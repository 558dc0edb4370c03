"""What agents may call, yours from the first copy on: an update never touches this file.

Each async function below `@tool` is one tool of the MCP server at /mcp. Its docstring tells agents
what it does, and the types of its parameters what they may send: str, int, float, bool, list[...],
dict[str, ...], Literal[...], and several of them with |. `identity` and `env` come from the Worker.
Return text or a dictionary, and raise ToolError for what the agent should know.

An agent is let in as the person who connected it, and text that it has read somewhere can make it
call what that person never meant. docs/WRITING.md has more.
"""

from typing import Literal

from mcp_server import ToolError, tool


@tool
async def whoami(identity):
    """Say on whose behalf these tools are called."""
    return identity.as_dict()


@tool
async def greet(name: str, language: Literal["en", "de"] = "en"):
    """Greet somebody by name, in English or German."""
    if not name.strip():
        raise ToolError("There is nobody to greet: the name is empty.")
    return f"{'Hello' if language == 'en' else 'Guten Tag'} {name}"


# Shown to callers with the role "admin" only, see "Roles" in docs/WRITING.md:
# @tool(role="admin")
