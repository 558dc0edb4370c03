"""`probe` asks as an agent does, and follows what Access tells agents (Managed OAuth)."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudflare_api import Json
from command_run import FILLED, project
from conftest import Render
from probe_servers import TEAM, Reply, Seen, World, certs
from test_probe import HOST, TOKEN, by_host, configure, domains, login, probe

pytestmark = pytest.mark.slow

RESOURCE = "/.well-known/cloudflare-access-protected-resource/"
SERVER = "/.well-known/oauth-authorization-server"
CHALLENGE = 'Bearer realm="OAuth", error="invalid_token", resource_metadata="{}"'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def with_agents(rendered: Render, tmp_path: Path) -> Path:
    return project(rendered, tmp_path, profile="production", agents=["claude"], **FILLED)


def managed(
    resource: object = None,
    server: object = None,
    at: str = f"https://{HOST}{RESOURCE}",
    challenge: str = CHALLENGE,
) -> Callable[[Seen], Reply]:
    """Access in front with Managed OAuth, as it is documented. Whatever is given is otherwise."""
    first = {"resource": f"https://{HOST}/", "authorization_servers": [f"https://{HOST}"]}
    oauth = f"https://{TEAM}/cdn-cgi/access/oauth/"
    second = {
        "issuer": f"https://{HOST}",
        "authorization_endpoint": f"{oauth}authorization",
        "token_endpoint": f"{oauth}token",
        "registration_endpoint": f"{oauth}registration",
        "code_challenge_methods_supported": ["S256"],
    }

    def answer(seen: Seen) -> Reply:
        documents = {RESOURCE: resource or first, SERVER: server or second}
        if seen.path in documents:
            body = json.dumps(documents[seen.path]).encode()
            return Reply(200, body, {"Content-Type": "application/json"})
        if seen.scheme == "http" or "text/html" in seen.headers.get("accept", ""):
            return login(seen)
        headers = {"WWW-Authenticate": challenge.format(at), "Server": "cloudflare"}
        return Reply(401, b'{"error":"invalid_token"}', headers)

    return answer


def without(field: str) -> Json:
    """The server's metadata, one field of it gone."""
    document: Json = json.loads(bytes_of(managed(), SERVER))
    del document[field]
    return document


def bytes_of(behaviour: Callable[[Seen], Reply], path: str) -> bytes:
    body = behaviour(Seen("https", HOST, path, {})).body
    assert isinstance(body, bytes)
    return body


def test_agents_are_asked_to_log_in(with_agents: Path, world: World) -> None:
    world.hosts[HOST] = managed()
    status, found, _ = probe(with_agents, world)
    assert (status, found["problems"], found["warnings"]) == (0, [], [])
    assert by_host(found)[HOST]["verdict"] == "access"


def test_something_else_at_the_path_of_agents(with_agents: Path, world: World) -> None:
    """As where a Bypass policy covers it: nobody would be asked to log in."""
    asked = managed()
    world.hosts[HOST] = lambda seen: Reply(404) if seen.path == "/mcp" else asked(seen)
    status, found, _ = probe(with_agents, world)
    assert status == 1 and "Agents cannot log in" in found["problems"][0]


def test_agents_cannot_log_in(with_agents: Path, world: World) -> None:
    world.hosts[HOST] = login
    status, found, _ = probe(with_agents, world)
    assert status == 1
    [problem] = found["problems"]
    assert "Agents cannot log in" in problem and HOST in problem and "npm run provision" in problem


def test_agents_that_nobody_asked_for(rendered: Render, world: World, tmp_path: Path) -> None:
    folder = project(rendered, tmp_path, profile="production", **FILLED)
    world.hosts[HOST] = managed()
    status, found, _ = probe(folder, world)
    assert status == 1
    [problem] = found["problems"]
    assert "Agents can log in, although the project asks for none" in problem and HOST in problem
    world.hosts[HOST] = login
    assert probe(folder, world)[0] == 0


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="OAuth", error="invalid_token"',
        'Basic realm="x", resource_metadata="{}"',
        "",
    ],
)
def test_a_401_that_leads_nowhere(with_agents: Path, world: World, challenge: str) -> None:
    world.hosts[HOST] = managed(challenge=challenge)
    status, found, _ = probe(with_agents, world)
    assert status == 1 and "Agents cannot log in" in found["problems"][0]


SERVERS = {"resource": f"https://{HOST}/", "authorization_servers": [TEAM]}
WRONG = [
    (managed(resource=SERVERS), f"the authorization server is {TEAM}, without https://"),
    (managed(resource={"resource": f"https://{HOST}"}), "names no authorization server"),
    (
        managed(resource={"resource": "https://other.example.com/", "authorization_servers": [1]}),
        "the resource's metadata is that of https://other.example.com/",
    ),
    (managed(resource=[1]), "the resource's metadata at https://"),
    (managed(server=[1]), "the authorization server's metadata at https://"),
    (managed(server=without("issuer") | {"issuer": TEAM}), f"has the issuer {TEAM}, not https://"),
    (managed(server=without("issuer")), "many agents stop at that"),
    (managed(server=without("code_challenge_methods_supported")), "PKCE with S256"),
    (managed(server=without("registration_endpoint")), "no registration_endpoint"),
    (
        managed(server=without("token_endpoint") | {"token_endpoint": f"http://{HOST}/token"}),
        "no token_endpoint",
    ),
    (managed(at=f"http://{HOST}{RESOURCE}"), f"at http://{HOST}{RESOURCE} cannot be read"),
]


@pytest.mark.parametrize(("behaviour", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_login_that_fails_later(
    with_agents: Path, world: World, behaviour: Callable[[Seen], Reply], said: str
) -> None:
    """A warning with the reason: it is Cloudflare that would have to mend it."""
    world.hosts[HOST] = behaviour
    status, found, _ = probe(with_agents, world)
    assert status == 0, found
    warnings = "".join(found["warnings"])
    assert said in warnings and HOST in warnings


def test_nobody_else_is_asked(with_agents: Path, world: World) -> None:
    """What a server says about others is followed to this host and to the team only."""
    elsewhere = "elsewhere.example.org"
    world.hosts |= {HOST: managed(at=f"https://{elsewhere}{RESOURCE}"), elsewhere: managed()}
    probe(with_agents, world, **TOKEN)
    assert world.at(elsewhere) == []
    here = {"resource": f"https://{HOST}/"}
    named = {**here, "authorization_servers": [f"https://{elsewhere}"]}
    world.hosts[HOST] = managed(resource=named)
    probe(with_agents, world)
    assert world.at(elsewhere) == []


def test_a_team_that_serves_the_metadata(with_agents: Path, world: World) -> None:
    document = without("issuer") | {"issuer": f"https://{TEAM}"}
    world.hosts[HOST] = managed(
        resource={"resource": f"https://{HOST}/mcp", "authorization_servers": [f"https://{TEAM}"]}
    )

    def team(seen: Seen) -> Reply:
        return Reply(200, json.dumps(document).encode()) if seen.path == SERVER else certs(seen)

    world.hosts[TEAM] = team
    status, found, _ = probe(with_agents, world)
    assert (status, found["warnings"]) == (0, [])


def test_every_address_is_asked(with_agents: Path, world: World) -> None:
    configure(with_agents, routes=[*domains(HOST), *domains("b.example.net")])
    world.hosts |= {HOST: managed(), "b.example.net": login}
    status, found, _ = probe(with_agents, world)
    assert status == 1
    assert HOST not in found["problems"][0] and "b.example.net" in found["problems"][0]
