"""The official MCP SDK's client against the rendered Worker, over HTTP, in both generations.

The client logs nobody in here: each request has the signed header that Access would have added.
"""

import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, CallToolResult, TextContent

from conftest import ROOT, Render
from private_worker.testing.access import PERSON, Access
from private_worker.testing.needs import Project
from private_worker.testing.runtime import Runtime, Worker

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin"]

PROBE = ROOT / "template/vendor/private-worker/src/private_worker/conformance/probe/tools.py"
MODERN, LEGACY = "2026-07-28", "2025-11-25"
Use = Callable[[Client], Awaitable[Any]]
Run = Callable[[Use], Any]


@pytest.fixture(scope="module")
def project_root(
    rendered: Render, tmp_path_factory: pytest.TempPathFactory, node_modules: Path
) -> Path:
    """With the tools of the guard's own suite, which do all that a tool can do."""
    folder = tmp_path_factory.mktemp("mcp") / "project"
    shutil.copytree(rendered(profile="production", agents=["claude"]), folder)
    shutil.copy(PROBE, folder / "src" / "tools.py")
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def kit_runtime(project_root: Path) -> Iterator[Runtime]:
    runtime = Runtime(Project(project_root), project_root / "packages")
    runtime.start()
    yield runtime
    runtime.stop()


@pytest.fixture(params=["auto", MODERN, "legacy"])
def run(request: pytest.FixtureRequest, worker: Worker, access: Access) -> Run:
    """Connect as a client of that generation, do something, and hang up."""
    address = worker.listen()

    def run(use: Use) -> Any:
        async def connected() -> Any:
            async with create_mcp_http_client(headers=access.person()) as http:
                transport = streamable_http_client(f"{address}/mcp", http_client=http)
                async with Client(transport, mode=request.param) as client:
                    wanted = LEGACY if request.param == "legacy" else MODERN
                    assert client.protocol_version == wanted
                    if request.param != MODERN:  # which asks for nothing first
                        assert client.server_capabilities.tools is not None
                        assert client.server_info is not None
                    return await use(client)

        return anyio.run(connected)

    return run


def texts_of(result: CallToolResult) -> list[str]:
    return [each.text for each in result.content if isinstance(each, TextContent)]


def test_tools(run: Run) -> None:
    async def use(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "whoami" in tools and "for_admins" not in tools
        assert tools["whoami"].description == "Say who calls.\n\nThe second paragraph."
        assert tools["everything"].input_schema["required"] == ["text", "words", "numbers"]

    run(use)


def test_calls(run: Run) -> None:
    async def use(client: Client) -> None:
        result = await client.call_tool("whoami", {})
        assert result.structured_content["identity"] == {"kind": "human", "email": PERSON}
        result = await client.call_tool("gives", {"what": "text"})
        assert texts_of(result) == ["gr\u00fc\u00df \U0001f600"]
        result = await client.call_tool("text", {"value": "\u65e5\u672c"})
        assert result.structured_content == {"value": "\u65e5\u672c", "type": "str"}
        result = await client.call_tool("gives", {"what": "nothing"})
        assert (result.content, result.is_error) == ([], False)

    run(use)


def test_what_goes_wrong(run: Run) -> None:
    """A tool's own error and wrong arguments are results, the rest are errors of the protocol."""

    async def use(client: Client) -> None:
        for tool, arguments in (("fails", {"how": "says why"}), ("text", {"value": 7})):
            result = await client.call_tool(tool, arguments)
            assert result.is_error and len(result.content) == 1
        for tool, arguments, code in (
            ("nothing", {}, INVALID_PARAMS),
            ("gr\u00fc\u00df", {}, INVALID_PARAMS),
            ("fails", {"how": "bad request"}, INVALID_PARAMS),
            ("fails", {"how": "mistake"}, INTERNAL_ERROR),
        ):
            with pytest.raises(MCPError) as told:
                await client.call_tool(tool, arguments)
            assert told.value.error.code == code
        with pytest.raises(MCPError):
            await client.call_tool("for_admins", {})
        assert texts_of(await client.call_tool("gives", {"what": "number"})) == ["1.5"]

    run(use)


def test_a_stranger(worker: Worker, access: Access) -> None:
    """What the guard refuses is an error to the client, in whatever way it opens."""
    address = worker.listen()

    async def connect(mode: Any) -> None:
        async with create_mcp_http_client(headers=access.person("other@example.com")) as http:
            transport = streamable_http_client(f"{address}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                await client.list_tools()

    for mode in ("auto", MODERN, "legacy"):
        with pytest.raises((MCPError, ExceptionGroup)):
            anyio.run(connect, mode)
