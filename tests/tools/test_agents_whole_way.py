"""The whole way of an agent: the official client, its person at real Chromium, `local` in the place
of Access, and the rendered Worker with its own guard and tools, in Pyodide."""

import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from mcp import Client, MCPError
from mcp_types import TextContent

from agents_run import Era, Kept, Person, python_client
from conftest import Render
from oauth_run import ANN, Played, served
from private_worker.dev_vars import dev_vars
from private_worker.testing.needs import Project
from private_worker.testing.runtime import Runtime, Worker

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin"]

ADMIN = '''

@tool(role="admin")
async def purge():
    """Delete everything."""
    return "gone"
'''
ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
LASTS = 3  # seconds that an access token does


@pytest.fixture(scope="module")
def project_root(
    rendered: Render, tmp_path_factory: pytest.TempPathFactory, node_modules: Path
) -> Path:
    """A project as it is rendered, and one tool for administrators."""
    folder = tmp_path_factory.mktemp("agents") / "project"
    shutil.copytree(rendered(profile="production", agents=["local"]), folder)
    with (folder / "src" / "tools.py").open("a", encoding="utf-8") as tools:
        tools.write(ADMIN)
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def kit_runtime(project_root: Path) -> Iterator[Runtime]:
    runtime = Runtime(Project(project_root), project_root / "packages")
    runtime.start()
    yield runtime
    runtime.stop()


Load = Callable[..., Played]


@pytest.fixture
def load(project_root: Path, worker: Worker) -> Iterator[Load]:
    """The Worker with the settings of .dev.vars and some more, which gets its keys from `local`."""
    open_now = []

    def load(**settings: object) -> Played:
        played = Played(project_root, "")
        found = dev_vars((project_root / ".dev.vars").read_text(encoding="utf-8"))
        worker.load(
            env={**worker.env, **found, "ALLOWED_EMAILS": [ANN], **settings},
            routes={played.url: played.url},
        )
        played.front.worker = worker.listen(origin=played.url)
        played.oauth.access_lasts = LASTS
        front = served(played.front, played.port)
        front.__enter__()
        open_now.append(front)
        return played

    yield load
    for front in open_now:
        front.__exit__(None, None, None)


def talk(
    played: Played, person: Person, use: Callable[[Client], Awaitable[None]], era: Era = "auto"
) -> None:
    async def connected() -> None:
        async with python_client(f"{played.url}/mcp", person, era, Kept()) as client:
            await use(client)

    anyio.run(connected)


@ERAS
def test_from_the_login_to_the_tool_and_on(load: Load, era: Era) -> None:
    """Found, registered, logged in, listed, called as its person, and once more after a refresh."""
    person = Person()

    async def use(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["whoami", "greet"]
        for _ in range(2):
            result = await client.call_tool("whoami", {})
            assert result.structured_content == {"kind": "human", "email": ANN}
            await anyio.sleep(LASTS + 1)
        result = await client.call_tool("greet", {"name": "Ada"})
        assert result.content == [TextContent(type="text", text="Hello Ada")]

    talk(load(), person, use, era)
    assert person.logins == 1


def test_a_role(load: Load, worker: Worker) -> None:
    """The tool is shown to whoever has the role, and a call without it gets the one 403."""

    async def admin(client: Client) -> None:
        assert "purge" in [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("purge", {})
        assert result.content == [TextContent(type="text", text="gone")]

    async def other(client: Client) -> None:
        assert "purge" not in [tool.name for tool in (await client.list_tools()).tools]
        with pytest.raises(MCPError):
            await client.call_tool("purge", {})

    talk(load(ROLES={"admin": [ANN]}), Person(), admin)
    talk(load(ROLES={"admin": ["bob@example.com"]}), Person(), other)
    assert '"reason": "role"' in "".join(worker.logs)


def test_another_person(load: Load, worker: Worker) -> None:
    """Access lets them log in here; the guard knows them not, and there is no login without end."""
    person = Person("bob@example.com")

    async def use(client: Client) -> None:
        await client.list_tools()

    with pytest.RaisesGroup(MCPError, flatten_subgroups=True):
        talk(load(), person, use)
    assert person.logins == 1
    assert '"reason": "not_allowed"' in "".join(worker.logs)


def test_an_agent_reaches_what_its_person_reaches(load: Load) -> None:
    """The API as well, which docs/SECURITY.md says."""
    played, person, kept = load(), Person(), Kept()

    async def run() -> None:
        async with python_client(f"{played.url}/mcp", person, "auto", kept) as client:
            await client.list_tools()

    anyio.run(run)
    assert kept.tokens is not None
    token = {"Authorization": f"Bearer {kept.tokens.access_token}"}
    answer = httpx.get(f"{played.url}/", headers=token, trust_env=False)
    assert answer.json() == {"ok": True, "identity": {"kind": "human", "email": ANN}}
