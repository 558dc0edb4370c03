"""The MCP server for agents: both generations of the protocol on one path, and its tools.

Rows and numbers are those of the specifications of 2026-07-28 and 2025-11-25.
"""

import base64
import json
from typing import Any

import pytest

from private_worker.testing.access import MACHINE, PERSON, Access
from private_worker.testing.runtime import ORIGIN, Response, Worker

from .lib import FORBIDDEN, Load, decisions, only, refused, shape

PATH = f"{shape().base}/mcp"
GATEWAY: dict[str, Any] = {"entrypoint": "Internal", "props": {"caller": "gateway"}}
MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
META = "io.modelcontextprotocol/"
MISMATCH, UNSUPPORTED = -32020, -32022
PARSE, REQUEST, METHOD, PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603


def message(method: Any, params: Any = None, **more: Any) -> dict[str, Any]:
    given = {} if params is None else {"params": params}
    return {"jsonrpc": "2.0", "id": 1, "method": method, **given, **more}


class Agent:
    """Sends what a client of one generation sends, on behalf of `inside`."""

    def __init__(self, worker: Worker, inside: dict[str, Any], version: str | None) -> None:
        self.worker, self.inside, self.version = worker, inside, version

    def post(self, body: Any, headers: Any = None, **request: Any) -> Response:
        """Anything. A header that is None is left out."""
        kinds = {"Content-Type": "application/json", "MCP-Protocol-Version": self.version}
        given = {**self.inside.get("headers", {}), **kinds, **(headers or {})}
        given = {name: value for name, value in given.items() if value is not None}
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        wanted = {**self.inside, "method": "POST", "headers": given, "body": text, **request}
        return self.worker.fetch(PATH, **wanted)

    def ask(
        self, method: str, params: Any = None, headers: Any = None, meta: Any = None, **more: Any
    ) -> Response:
        """A request that is right but for what the arguments change; None in `meta` leaves out."""
        params = dict(params or {})
        if self.version == MODERN:
            version = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
            ours = {**version, **(meta or {})}
            params["_meta"] = {name: value for name, value in ours.items() if value is not None}
            name = params.get("name")
            said = {"Mcp-Method": method, "Mcp-Name": name if isinstance(name, str) else None}
            headers = {**said, **(headers or {})}
        return self.post(message(method, params, **more), headers)

    def result(self, method: str, params: Any = None) -> Any:
        response = self.ask(method, params)
        assert response.status == 200, response.body
        assert response.headers["content-type"] == "application/json"
        answer = response.json()
        assert (answer["jsonrpc"], answer["id"]) == ("2.0", 1)
        return answer["result"]

    def call(self, tool: str, **arguments: Any) -> Any:
        return self.result("tools/call", {"name": tool, "arguments": arguments})

    def tools(self) -> dict[str, Any]:
        return {tool["name"]: tool for tool in self.result("tools/list")["tools"]}


@pytest.fixture
def modern(worker: Worker, inside: dict[str, Any]) -> Agent:
    return Agent(worker, inside, MODERN)


@pytest.fixture
def legacy(worker: Worker, inside: dict[str, Any]) -> Agent:
    return Agent(worker, inside, LEGACY[0])


@pytest.fixture(params=[MODERN, LEGACY[0]])
def agent(request: pytest.FixtureRequest, worker: Worker, inside: dict[str, Any]) -> Agent:
    return Agent(worker, inside, request.param)


def failed(response: Response, status: int, code: int, number: Any = 1) -> dict[str, Any]:
    """A JSON-RPC error with this code, and with nothing but a fixed text in it. Returns it."""
    assert response.status == status, response.body
    answer = response.json()
    assert answer.keys() == {"jsonrpc", "id", "error"}
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", number)
    error: dict[str, Any] = answer["error"]
    assert error["code"] == code
    assert response.headers["cache-control"] == "private, no-store"
    assert "www-authenticate" not in {name.lower() for name in dict(response.headers)}
    return error


# --- Opening --------------------------------------------------------------------------------------


def test_discover(modern: Agent) -> None:
    """Nothing has to come before it."""
    result = modern.result("server/discover")
    assert result["supportedVersions"] == [MODERN]
    assert result["capabilities"] == {"tools": {}}
    assert set(result["_meta"][META + "serverInfo"]) == {"name", "version"}
    assert (result["resultType"], result["cacheScope"]) == ("complete", "private")


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        *((version, version) for version in LEGACY),
        *((other, LEGACY[0]) for other in (MODERN, "2030-01-01", "2024-10-07", "", None, 7)),
    ],
)
@pytest.mark.parametrize("header", [None, LEGACY[1]])
def test_initialize(asked: Any, offered: str, header: Any, legacy: Agent) -> None:
    """The version that was asked for, or a counter-offer; no session."""
    params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {}}
    response = legacy.ask("initialize", params, {"MCP-Protocol-Version": header})
    result = response.json()["result"]
    assert result["protocolVersion"] == offered
    assert result["capabilities"] == {"tools": {}}
    assert set(result["serverInfo"]) == {"name", "version"}
    assert "mcp-session-id" not in {name.lower() for name in dict(response.headers)}


@pytest.mark.parametrize("version", [None, *LEGACY])
def test_legacy_versions(version: Any, worker: Worker, inside: dict[str, Any]) -> None:
    """A missing header is that of 2025-03-26."""
    agent = Agent(worker, inside, version)
    assert agent.result("ping") == {}
    assert agent.tools()["whoami"]["description"] == "Say who calls.\n\nThe second paragraph."


def test_no_handshake_is_needed_to_call(legacy: Agent) -> None:
    """Nothing is kept between requests, so nothing is missing."""
    assert legacy.call("gives", what="number") == {"content": [{"type": "text", "text": "1.5"}]}


NOTIFICATIONS = ["notifications/initialized", "notifications/cancelled", "tools/call", "x"]


@pytest.mark.parametrize("method", NOTIFICATIONS)
def test_notification(method: str, agent: Agent) -> None:
    """202 and no body; it does nothing, whatever it is called."""
    before = agent.call("count")
    body = message(method, {"name": "count", "arguments": {}})
    del body["id"]
    response = agent.post(body)
    assert (response.status, response.body) == (202, b"")
    assert response.headers["cache-control"] == "private, no-store"
    after = agent.call("count")
    assert int(after["content"][0]["text"]) == int(before["content"][0]["text"]) + 1


def test_notification_of_another_version(modern: Agent) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    failed(modern.post(body, {"MCP-Protocol-Version": "1900-01-01"}), 400, UNSUPPORTED, None)


# --- The version and the headers ------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1900-01-01", "2026-07-29", "", "2025-11-25, 2025-11-25"])
def test_unknown_version(version: str, modern: Agent) -> None:
    for meta in (version, None):
        response = modern.ask(
            "tools/list",
            headers={"MCP-Protocol-Version": version},
            meta={META + "protocolVersion": meta},
        )
        data = failed(response, 400, UNSUPPORTED)["data"]
        assert data == {"supported": [MODERN, *LEGACY], "requested": version}


@pytest.mark.parametrize(
    "headers",
    [
        {"MCP-Protocol-Version": None},
        {"MCP-Protocol-Version": LEGACY[0]},
        {"MCP-Protocol-Version": "1900-01-01"},
        {"Mcp-Method": None},
        {"Mcp-Method": "tools/list"},
        {"Mcp-Method": "Tools/Call"},
        {"Mcp-Name": None},
        {"Mcp-Name": ""},
        {"Mcp-Name": "count"},
        {"Mcp-Name": "WHOAMI"},
        {"Mcp-Name": "=?base64?d2hvYW1p"},
        {"Mcp-Name": "=?base64?d2hvYW1?="},
        {"Mcp-Name": "=?base64?/w==?="},
        {"Mcp-Name": "=?BASE64?d2hvYW1p?="},
        {"Mcp-Name": "=?base64?Y291bnQ=?="},
    ],
    ids=lambda headers: str(headers),
)
def test_headers_that_differ_from_the_body(headers: Any, modern: Agent) -> None:
    failed(modern.ask("tools/call", {"name": "whoami"}, headers), 400, MISMATCH)


@pytest.mark.parametrize("version", [LEGACY[0], "1900-01-01", 7, {}])
def test_a_version_in_the_body_alone(version: Any, modern: Agent) -> None:
    meta = {META + "protocolVersion": version}
    failed(modern.ask("tools/list", meta=meta), 400, MISMATCH)


@pytest.mark.parametrize("name", ["whoami", "=?base64?d2hvYW1p?="])
def test_name_in_the_header(name: str, modern: Agent) -> None:
    response = modern.ask("tools/call", {"name": "whoami"}, {"Mcp-Name": name})
    assert response.status == 200


@pytest.mark.parametrize("name", ["gr\u00fc\u00df", " whoami", "=?base64?whoami?="])
def test_name_that_needs_a_code(name: str, modern: Agent) -> None:
    """It is compared decoded: what is wrong then is that there is no such tool."""
    header = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
    response = modern.ask("tools/call", {"name": name}, {"Mcp-Name": header})
    failed(response, 400, PARAMS)


def test_headers_of_requests_without_a_name(modern: Agent) -> None:
    """They have no `Mcp-Name`, and one that is there is not looked at."""
    assert modern.ask("tools/list", headers={"Mcp-Name": "x"}).status == 200


@pytest.mark.parametrize(
    "meta",
    [
        {META + "protocolVersion": None},
        {META + "clientCapabilities": None},
        {META + "clientCapabilities": []},
        {META + "clientCapabilities": "all"},
    ],
    ids=lambda meta: str(meta),
)
def test_what_a_modern_request_must_say(meta: Any, modern: Agent) -> None:
    failed(modern.ask("tools/list", meta=meta), 400, PARAMS)


@pytest.mark.parametrize("params", [None, {}, {"_meta": {}}, {"_meta": None}, {"_meta": "x"}])
def test_modern_request_without_its_fields(params: Any, modern: Agent) -> None:
    headers = {"Mcp-Method": "tools/list"}
    failed(modern.post(message("tools/list", params), headers), 400, PARAMS)


@pytest.mark.parametrize("name", ["Mcp-Session-Id", "Last-Event-ID", "Mcp-Param-Region"])
def test_headers_without_a_meaning(name: str, agent: Agent) -> None:
    response = agent.ask("tools/list", headers={name: "x"})
    assert response.status == 200
    assert name.lower() not in {each.lower() for each in dict(response.headers)}


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/event-stream", "text/*"])
def test_accept(accept: Any, agent: Agent) -> None:
    """There is one kind of answer, also for clients that forget to ask for it."""
    response = agent.ask("tools/list", headers={"Accept": accept})
    assert (response.status, response.headers["content-type"]) == (200, "application/json")


# --- Methods --------------------------------------------------------------------------------------

UNKNOWN = ("resources/list", "prompts/list", "subscriptions/listen", "logging/setLevel", "", "x")


@pytest.mark.parametrize("method", [*UNKNOWN, "tools/list ", "Tools/list", "initialize", "ping"])
def test_unknown_method(method: str, modern: Agent) -> None:
    headers = {"Mcp-Method": method.strip()} if method.endswith(" ") else {}
    code = (400, MISMATCH) if headers else (404, METHOD)
    failed(modern.ask(method, headers=headers), *code)


@pytest.mark.parametrize("method", [*UNKNOWN, "tools/list ", "Tools/list", "server/discover"])
def test_unknown_method_of_a_legacy_client(method: str, legacy: Agent) -> None:
    failed(legacy.ask(method), 200, METHOD)


@pytest.mark.parametrize("number", ["a", "", "\u00e9\U0001f600", 0, -1, 2**53, "x" * 5000])
def test_the_id_comes_back(number: Any, agent: Agent) -> None:
    answer = agent.ask("tools/list", id=number).json()
    assert (type(answer["id"]), answer["id"]) == (type(number), number)
    assert agent.ask("x", id=number).json()["id"] == number


@pytest.mark.parametrize("number", [None, True, False, 1.5, 1.0, [], {}, ["a"]], ids=repr)
def test_what_is_no_id(number: Any, agent: Agent) -> None:
    failed(agent.ask("tools/list", id=number), 400, REQUEST, None)


OTHERS: list[Any] = [None, 1, []]
NO_REQUEST: list[Any] = [
    *([], {}, "x", 1, None, True),
    *({"jsonrpc": "2.0", "id": 1}, {"id": 1, "method": "ping"}),
    *({**message("ping"), "jsonrpc": version} for version in ("1.0", 2.0, None)),
    *(message(method) for method in OTHERS),
    *({**message("ping"), "params": params} for params in (*OTHERS, "x")),
    {"jsonrpc": "2.0", "id": 1, "result": {}},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}},
]


@pytest.mark.parametrize("body", NO_REQUEST, ids=json.dumps)
def test_what_is_no_request(body: Any, agent: Agent) -> None:
    failed(agent.post(json.dumps(body)), 400, REQUEST, None)


@pytest.mark.parametrize("version", [None, "2025-03-26", MODERN])
@pytest.mark.parametrize("size", [1, 2])
def test_batch(size: int, version: Any, worker: Worker, inside: dict[str, Any]) -> None:
    """2025-03-26 knew it; nobody sends it."""
    agent = Agent(worker, inside, version)
    failed(agent.post([message("ping")] * size), 400, REQUEST, None)


# --- HTTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "OPTIONS"])
def test_other_methods(method: str, agent: Agent) -> None:
    """405 and not 404: legacy clients try GET."""
    response = agent.worker.fetch(PATH, **{**agent.inside, "method": method})
    failed(response, 405, REQUEST, None)
    assert response.headers["allow"] == "POST"


def test_head(modern: Agent) -> None:
    response = modern.worker.fetch(PATH, **{**modern.inside, "method": "HEAD"})
    assert (response.status, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_strangers_get_the_guards_answer(method: str, worker: Worker) -> None:
    """Never a 401 and never a document that leads to a login: that is Access's, at the edge."""
    response = refused(worker, "no_proof", url=PATH, method=method)
    assert set(dict(response.headers)) == {"content-type", "cache-control"}


@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_content_type(kind: Any, agent: Agent) -> None:
    failed(agent.ask("tools/list", headers={"Content-Type": kind}), 415, REQUEST, None)


@pytest.mark.parametrize("kind", ["Application/JSON", "application/json; charset=utf-8"])
def test_spelling_of_the_content_type(kind: str, agent: Agent) -> None:
    assert agent.ask("tools/list", headers={"Content-Type": kind}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "x", b"\xff", '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'),
        *('{"jsonrpc":"2.0","id":NaN,"method":"ping"}', "[1e999]"),
        *("[" * 10_000, "[" * 33 + "]" * 33),
        '{"jsonrpc":"2.0","id":1,"method":"ping","params":' + '{"a":' * 40 + "1" + "}" * 41,
        '{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}',
    ],
    ids=lambda body: ascii(body)[:40],
)
def test_what_is_no_json(body: Any, agent: Agent) -> None:
    failed(agent.post(body), 400, PARSE, None)
    assert '"detail": "BadRequest: the body is not JSON"' in agent.worker.logs[-1]


def test_too_large(agent: Agent) -> None:
    most = 1024 * 1024
    body = json.dumps(message("ping", {"x": ""}))
    padded = body.replace('""', f'"{"x" * (most - len(body))}"')
    response = agent.post(padded)
    assert response.status == (200 if agent.version in LEGACY else 400)
    failed(agent.post(padded + " "), 413, REQUEST, None)


SITES: list[dict[str, str]] = [
    {"Origin": "https://evil.example.com"},
    {"Origin": "null"},
    {"Origin": ORIGIN.replace("https", "http")},
    {"Origin": f"{ORIGIN}.example.com"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("site", SITES, ids=lambda site: str(site))
def test_pages_of_other_sites(site: dict[str, str], agent: Agent) -> None:
    """Whatever they send, and however they were allowed to."""
    for method, request in (("POST", message("ping")), ("GET", None), ("DELETE", None)):
        headers = {**agent.inside["headers"], "Content-Type": "application/json", **site}
        body = {} if request is None else {"body": json.dumps(request)}
        refused(agent.worker, "another_site", headers, PATH, method=method, **body)


def test_pages_of_its_own(agent: Agent) -> None:
    for site in ({"Origin": ORIGIN}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert agent.ask("tools/list", headers=site).status == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/mcp/", "/mcp/x", "/MCP", "/mcpx", "/"),
        *("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"),
    ],
)
def test_other_paths_are_the_apis(path: str, worker: Worker, inside: dict[str, Any]) -> None:
    """Behind the guard like every path; the probe answers there with who it is."""
    refused(worker, "no_proof", url=f"{shape().base}{path}")
    answer = worker.fetch(f"{shape().base}{path}", **inside)
    assert answer.json()["identity"] == {"kind": "human", "email": PERSON}


def test_a_query_changes_nothing(worker: Worker, inside: dict[str, Any]) -> None:
    wanted = {**inside, "method": "POST", "json": message("ping")}
    assert worker.fetch(f"{PATH}?x=1", **wanted).json()["result"] == {}


# --- Tools ----------------------------------------------------------------------------------------

SEEN_BY_ALL = ["whoami", "count", "everything", "asks_inside", "collects", "gives", "fails"]
TYPES = ["text", "whole", "number", "yes", "texts", "table", "choice", "some", "either"]


def test_list(agent: Agent) -> None:
    """In the order of the file, and only what is marked."""
    assert list(agent.tools()) == [*SEEN_BY_ALL, *TYPES, "definitions"]
    result = agent.result("tools/list")
    assert set(result) == {"tools"} | (
        {"resultType", "_meta", "ttlMs", "cacheScope"} if agent.version == MODERN else set()
    )
    if agent.version == MODERN:
        assert type(result["ttlMs"]) is int and result["ttlMs"] >= 0
        assert result["cacheScope"] == "private"


@pytest.mark.parametrize("cursor", ["", "x", 1, None])
def test_another_page(cursor: Any, agent: Agent) -> None:
    """There is one."""
    status = 400 if agent.version == MODERN else 200
    failed(agent.ask("tools/list", {"cursor": cursor}), status, PARAMS)


def test_schema(agent: Agent) -> None:
    """Of JSON Schema 2020-12, without what the Worker gives."""
    tools = agent.tools()
    assert tools["count"] == {
        "name": "count",
        "description": "Say how often this was called.",
        "inputSchema": {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        },
    }
    assert tools["everything"]["inputSchema"] == {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "words": {"type": "array", "items": {"type": "string"}},
            "numbers": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "number"}},
            },
            "choice": {"enum": ["a", 2], "default": "a"},
            "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["text", "words", "numbers"],
        "additionalProperties": False,
    }
    kinds = {"text": "string", "whole": "integer", "number": "number", "yes": "boolean"}
    for name, kind in kinds.items():
        assert tools[name]["inputSchema"]["properties"] == {"value": {"type": kind}}


def test_call(agent: Agent) -> None:
    result = agent.call("whoami")
    assert result["structuredContent"]["identity"] == {"kind": "human", "email": PERSON}
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    assert ("resultType" in result) == (agent.version == MODERN)
    assert "isError" not in result


def test_arguments_arrive(agent: Agent) -> None:
    given = {"text": "x", "words": [], "numbers": {"a": [1, 2.5]}}
    result = agent.call("everything", **given)["structuredContent"]
    assert result == {"given": ["x", [], {"a": [1.0, 2.5]}, "a", None], "kind": "human"}
    result = agent.call("everything", **given, choice=2, maybe=7)["structuredContent"]
    assert result["given"][3:] == [2, 7]


# For each type: what is taken and what arrives, with its type in Python; and what is not.
TAKEN: dict[str, list[tuple[Any, Any, str]]] = {
    "text": [("", "", "str"), ("\u00e9\n", "\u00e9\n", "str"), ("x" * 10_000, "x" * 10_000, "str")],
    "whole": [(0, 0, "int"), (-(2**60), -(2**60), "int"), (2.0, 2, "int")],
    "number": [(1, 1.0, "float"), (1.5, 1.5, "float"), (-0.0, 0.0, "float")],
    "yes": [(True, True, "bool"), (False, False, "bool")],
    "texts": [([], [], "list"), (["a", ""], ["a", ""], "list")],
    "table": [({}, {}, "dict"), ({"": 1, "__class__": 2}, {"": 1, "__class__": 2}, "dict")],
    "choice": [("a", "a", "str"), (1, 1, "int"), (True, True, "bool"), (None, None, "NoneType")],
    "some": [("a", "a", "str"), (None, None, "NoneType")],
    "either": [(1, 1, "int"), ([True], [True], "list"), ([], [], "list")],
}
NOT_TAKEN: dict[str, list[Any]] = {
    "text": [None, 1, True, [], {}, ["a"]],
    "whole": [None, "1", 1.5, True, False, [], {}],
    "number": [None, "1", True, [], {}],
    "yes": [None, 0, 1, "true", [], {}],
    "texts": [None, "a", {}, [1], ["a", None], [["a"]]],
    "table": [None, [], "x", {"a": "1"}, {"a": True}, {"a": None}],
    "choice": ["b", "A", 0, 2, 1.0, False, "1", [], {}, ["a"]],
    "some": [1, True, [], {}],
    "either": [True, "1", None, [1], {}],
}


@pytest.mark.parametrize("name", TYPES)
def test_values_of_a_type(name: str, modern: Agent) -> None:
    for value, arrives, kind in TAKEN[name]:
        got = modern.call(name, value=value)
        assert got["structuredContent"] == {"value": arrives, "type": kind}, value


@pytest.mark.parametrize("name", TYPES)
def test_values_of_other_types(name: str, modern: Agent) -> None:
    """The agent is told which parameter it is, so that it can try again."""
    for value in NOT_TAKEN[name]:
        result = modern.call(name, value=value)
        assert result["isError"] is True, value
        assert result["content"][0]["text"] == "value does not fit the tool's schema."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "value is missing."),
        ({"Value": "x"}, "Its parameters are: value."),
        ({"value": "x", "more": 1}, "Its parameters are: value."),
        ({"value": "x", "identity": {"kind": "human"}}, "Its parameters are: value."),
        ({"value": "x", "env": {}}, "Its parameters are: value."),
        ({"value": "x", "self": 1}, "Its parameters are: value."),
    ],
)
def test_wrong_arguments(arguments: Any, said: str, agent: Agent) -> None:
    """Nothing of what was sent is quoted."""
    result = agent.result("tools/call", {"name": "text", "arguments": arguments})
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": said}]


@pytest.mark.parametrize("name", ["identity", "env"])
def test_what_the_worker_gives_cannot_be_sent(name: str, agent: Agent) -> None:
    """Nobody can say in an argument who they are."""
    result = agent.call("whoami", **{name: {"kind": "machine"}})
    assert result["isError"] and result["content"][0]["text"] == "Its parameters are: none."


@pytest.mark.parametrize("arguments", [[], "x", 1, None, True])
def test_arguments_that_are_no_object(arguments: Any, agent: Agent) -> None:
    status = 400 if agent.version == MODERN else 200
    failed(agent.ask("tools/call", {"name": "count", "arguments": arguments}), status, PARAMS)


def test_no_arguments_at_all(agent: Agent) -> None:
    assert "isError" not in agent.result("tools/call", {"name": "count"})


@pytest.mark.parametrize("name", [None, 7, [], {}, True])
def test_a_name_that_is_no_text(name: Any, agent: Agent) -> None:
    """Modern clients have to repeat it in a header, which cannot be."""
    response = agent.ask("tools/call", {"name": name, "arguments": {}})
    if agent.version == MODERN:
        failed(response, 400, PARAMS if name is None else MISMATCH)
    else:
        failed(response, 200, PARAMS)


@pytest.mark.parametrize(
    "name",
    [
        *("nothing", "whoami2", "WHOAMI", "who\u0430mi", "without_a_tool", "tool", "ToolError"),
        *("__init__", "__class__", "handle", "calls", "../whoami", "whoami\u0000", "<script>"),
    ],
    ids=ascii,
)
def test_unknown_tool(name: str, agent: Agent) -> None:
    """Whatever it is called: a fixed text, and not its name."""
    header = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
    response = agent.ask("tools/call", {"name": name}, {"Mcp-Name": header})
    error = failed(response, 400 if agent.version == MODERN else 200, PARAMS)
    assert error == {"code": PARAMS, "message": "Unknown tool"}


@pytest.mark.parametrize(
    ("what", "content", "structured"),
    [
        ("text", "gr\u00fc\u00df \U0001f600", None),
        ("number", "1.5", None),
        ("list", '[1, {"a": null}]', None),
        ("object", '{"a": [true]}', {"a": [True]}),
    ],
)
def test_results(what: str, content: str, structured: Any, agent: Agent) -> None:
    result = agent.call("gives", what=what)
    assert result["content"] == [{"type": "text", "text": content}]
    assert result.get("structuredContent") == structured


def test_a_default_is_of_one_call(agent: Agent) -> None:
    """What one caller puts into it is not shown to the next one."""
    for _ in range(2):
        assert agent.call("collects")["structuredContent"] == {"items": ["mine"]}


def test_no_result(agent: Agent) -> None:
    assert agent.call("gives", what="nothing")["content"] == []


def test_what_a_tool_says_to_the_agent(agent: Agent) -> None:
    result = agent.call("fails", how="says why")
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": "It is closed on Sundays."}]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(("fails", {"how": how}) for how in ("mistake", "cancelled", "exit")),
        *(("gives", {"what": what}) for what in ("not a number", "a set", "half a letter")),
        *(("gives", {"what": what}) for what in ("half a name", "endless", "another")),
    ],
)
def test_mistakes_in_a_tool(name: str, arguments: Any, agent: Agent) -> None:
    """A fixed text and a reference to the log, which has the rest; the Worker lives on."""
    response = agent.ask("tools/call", {"name": name, "arguments": arguments})
    error = failed(response, 200, INTERNAL)
    assert error.keys() == {"code", "message", "data"} and error["message"] == "The tool failed"
    line = json.loads(agent.worker.logs[-1])
    assert error["data"] == {"reference": line["reference"]}
    assert "Traceback" in line["detail"] and "Traceback" not in response.body.decode()
    assert agent.result("tools/list")


def test_arguments_that_a_tool_cannot_use(agent: Agent) -> None:
    """As with a body that the API cannot use."""
    response = agent.ask("tools/call", {"name": "fails", "arguments": {"how": "bad request"}})
    error = failed(response, 400 if agent.version == MODERN else 200, PARAMS)
    assert error == {"code": PARAMS, "message": "Invalid params"}
    assert '"detail": "BadRequest: only for the log"' in agent.worker.logs[-1]


def test_what_cannot_be_a_tool(modern: Agent) -> None:
    """It fails when the Worker is loaded, with a line that says what to write."""
    found = modern.call("definitions")["structuredContent"]
    assert found.pop("robot") == "require a role, or a kind: human, machine or binding"
    assert found.pop("not_async") == "the tool not_async is not an async function: write async def"
    assert "write a docstring" in found.pop("no_docstring")
    for name in ("of_another_type", "none", "infinite", "half_a_letter", "not_among_them"):
        assert found.pop(name) == f"{name}: the default of a does not fit its type"
    assert found.pop("identity_by_place").startswith("identity_by_place: identity needs a type")
    assert found.pop("a word") == 'write @tool or @tool(role="admin")'
    assert found.pop("wrapped") == "good: write @tool above the other decorators"
    assert found.pop("twice") == "two tools are called good"
    names = ("no_type", "other_type", "keys_of_numbers", "bare_list", "any_number", "by_place")
    assert set(found) == set(names)
    assert all(said.startswith(f"{name}: a needs a type: str, ") for name, said in found.items())


# --- Roles and kinds ------------------------------------------------------------------------------

ADMINS = {"admin": [PERSON, MACHINE, "gateway"]}


def forbidden(agent: Agent, name: str) -> None:
    """The one 403; the caller was let in, and the log says `role`."""
    response = agent.ask("tools/call", {"name": name})
    assert (response.status, response.json()) == (403, FORBIDDEN)
    first, second = decisions(agent.worker)[-2:]
    assert (first["decision"], second["decision"], second["reason"]) == ("allow", "refuse", "role")


@pytest.mark.parametrize("version", [MODERN, LEGACY[0]])
def test_a_role(version: str, load: Load, inside: dict[str, Any]) -> None:
    agent = Agent(load(ROLES=ADMINS), inside, version)
    shown = agent.tools().keys() - {*SEEN_BY_ALL, *TYPES, "definitions"}
    assert shown == {"for_admins", "for_human_admins"}
    for name in ("for_admins", "for_human_admins", "asks_inside"):
        assert agent.call(name)["content"] == [{"type": "text", "text": "done"}]
    forbidden(agent, "for_programs")


def test_no_role(agent: Agent) -> None:
    for name in ("for_admins", "for_programs", "for_human_admins", "asks_inside"):
        forbidden(agent, name)


def test_arguments_do_not_matter_without_the_role(modern: Agent) -> None:
    """What a hidden tool takes is not told."""
    params = {"name": "for_admins", "arguments": {"x": 1}}
    assert modern.ask("tools/call", params).json() == FORBIDDEN


@only(shape().machines)
def test_programs(load: Load, access: Access) -> None:
    """They need no agent for it, and a role and a kind count as everywhere."""
    agent = Agent(load(ROLES=ADMINS), {"headers": access.machine()}, MODERN)
    who = agent.call("whoami")["structuredContent"]["identity"]
    assert who == {"kind": "machine", "client_id": MACHINE}
    shown = agent.tools().keys() - {*SEEN_BY_ALL, *TYPES, "definitions"}
    assert shown == {"for_admins", "for_programs"}
    assert agent.call("for_programs")["content"][0]["text"] == "done"
    forbidden(agent, "for_human_admins")


@only(shape().bound_fetch)
def test_other_workers(load: Load) -> None:
    agent = Agent(load(ROLES=ADMINS), GATEWAY, MODERN)
    who = agent.call("whoami")["structuredContent"]["identity"]
    assert who == {"kind": "binding", "worker": "gateway"}
    assert agent.tools().keys() - {*SEEN_BY_ALL, *TYPES, "definitions"} == {"for_admins"}
    forbidden(agent, "for_programs")


# --- The log --------------------------------------------------------------------------------------


def test_the_log_says_which_tool(load: Load, inside: dict[str, Any]) -> None:
    """Only names of tools that there are, and nothing that was sent."""
    agent = Agent(load(LOG_WHO="name"), inside, MODERN)
    agent.call("text", value="only for the tool")
    agent.ask("tools/call", {"name": "made-up"})
    agent.ask("made-up")
    found = [json.loads(line) for line in agent.worker.logs]
    routes = [line["route"] for line in found if line["event"] == "answer"]
    assert routes == ["/mcp text", "/mcp", "/mcp"]
    assert not any("made-up" in line or "only for" in line for line in agent.worker.logs)
