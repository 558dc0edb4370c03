"""Roles: who of those who are let in may do what. `/require` of the probe asks for one."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from private_worker.testing.access import MACHINE, PERSON, Access
from private_worker.testing.runtime import Response, Worker

from .lib import Load, decisions, let_in, not_configured, only, refused, shape

WORKER: dict[str, Any] = {"entrypoint": "Internal", "props": {"caller": "gateway"}}
# For each kind of caller of this shape: what it is known by, and somebody else of its kind.
KNOWN = {
    "human": (PERSON, "other@example.com"),
    "machine": (MACHINE, "other.access"),
    "binding": ("gateway", "other"),
}
HTTP = [
    kind
    for kind, there in (
        ("human", shape().humans),
        ("machine", shape().machines),
        ("binding", shape().bound_fetch),
    )
    if there
]


@pytest.fixture
def sends(access: Access) -> dict[str, dict[str, Any]]:
    """What each kind of caller sends."""
    people, machines = {"headers": access.person()}, {"headers": access.machine()}
    return {"human": people, "machine": machines, "binding": WORKER}


def require(worker: Worker, request: dict[str, Any], **wanted: str) -> Response:
    return worker.fetch(f"/require?{urlencode(wanted)}", **request)


def has(worker: Worker, request: dict[str, Any], *roles: str) -> None:
    """The caller gets through for each of these roles, and for no other one."""
    for role in roles:
        response = require(worker, request, role=role)
        assert (response.status, response.json()) == (200, {"roles": sorted(roles)})
    lacks(worker, request, "another")


def lacks(worker: Worker, request: dict[str, Any], role: str, kind: str | None = None) -> None:
    """The one 403, although the caller is let in; the log says why."""
    wanted = {"role": role} | ({"kind": kind} if kind else {})
    response = require(worker, request, **wanted)
    assert (response.status, response.json()) == (403, {"error": "forbidden"})
    first, second = decisions(worker)[-2:]
    assert (first["decision"], first["reason"]) == ("allow", "ok")
    assert (second["decision"], second["reason"]) == ("refuse", "role")
    assert first["caller"] == second["caller"]


@only(shape().serves)
@pytest.mark.parametrize("kind", HTTP)
def test_a_role(kind: str, load: Load, sends: dict[str, Any]) -> None:
    """A member has it, others of the kind have not, and one that nobody defined admits nobody."""
    own, other = KNOWN[kind]
    worker = load(ROLES={"admin": [own], "reader": [other, own], "writer": [other], "empty": []})
    has(worker, sends[kind], "admin", "reader")
    for role in ("writer", "empty", "Admin", "admi", "admin ", "*", own):
        lacks(worker, sends[kind], role)
    if kind != "human":  # whose address counts however it is written
        alike = own.replace("gateway", "Gateway").replace("abcdef", "ABCDEF")
        lacks(load(ROLES={"admin": [alike]}), sends[kind], "admin")


@only(shape().serves)
@pytest.mark.parametrize("kind", HTTP)
def test_without_roles(kind: str, worker: Worker, sends: dict[str, Any]) -> None:
    lacks(worker, sends[kind], "admin")


@only(shape().serves)
@pytest.mark.parametrize("kind", HTTP)
def test_kinds_stay_apart(kind: str, load: Load, sends: dict[str, Any]) -> None:
    """Nobody is in a role by a name that means somebody of another kind."""
    others = [name for other, names in KNOWN.items() if other != kind for name in names]
    worker = load(ROLES={"admin": [*others, "@example.org"]})
    lacks(worker, sends[kind], "admin")


@only(shape().serves)
@pytest.mark.parametrize("kind", HTTP)
def test_a_kind(kind: str, load: Load, sends: dict[str, Any]) -> None:
    worker = load(ROLES={"admin": [KNOWN[kind][0]]})
    assert require(worker, sends[kind], kind=kind).status == 200
    assert require(worker, sends[kind], kind=kind, role="admin").status == 200
    lacks(worker, sends[kind], "another", kind)
    for other in KNOWN.keys() - {kind}:
        lacks(worker, sends[kind], "admin", other)


@only(shape().serves)
@pytest.mark.parametrize("kind", HTTP)
def test_a_mistake_of_the_api(kind: str, load: Load, sends: dict[str, Any]) -> None:
    """It asks for nothing, or for a kind that there is not. Nobody gets through."""
    worker = load(ROLES={"admin": [KNOWN[kind][0]]})
    for wanted in ({}, {"kind": "people"}, {"role": "admin", "kind": "Human"}, {"name": "admin"}):
        response = require(worker, sends[kind], **wanted)
        assert (response.status, response.json()["error"]) == (500, "internal_error")


@only(shape().serves)
@pytest.mark.parametrize("kind", HTTP)
def test_a_role_lets_nobody_in(kind: str, load: Load, access: Access) -> None:
    other = KNOWN[kind][1]
    worker = load(ROLES={"admin": [other]})
    headers = {"human": access.person, "machine": access.machine}
    sent: dict[str, Any] = {"entrypoint": "Internal", "props": {"caller": other}}
    if kind in headers:
        sent = {"headers": headers[kind](other)}
    response = require(worker, sent, role="admin")
    assert (response.status, decisions(worker)[-1]["reason"]) == (403, "not_allowed")


@only(shape().serves)
@pytest.mark.parametrize("kind", HTTP)
def test_the_same_answer_as_to_a_stranger(kind: str, worker: Worker, sends: dict[str, Any]) -> None:
    """Byte by byte, so that nobody learns that they were let in."""
    stranger: dict[str, Any] = {"entrypoint": "Internal"} if kind == "binding" else {}
    without_role, not_in = require(worker, sends[kind], role="x"), worker.fetch("/", **stranger)
    assert without_role.status == not_in.status
    assert without_role.body == not_in.body
    assert list(without_role.headers) == list(not_in.headers)


@only(shape().humans)
def test_roles_of_people(load: Load, access: Access) -> None:
    """By an address or its domain, compared as the list is."""
    roles = {"staff": ["@Example.com"], "boss": ["ANN@example.com"], "other": ["@example.org"]}
    worker = load(ALLOWED_EMAILS=["*"], ROLES=roles)
    for email, expected in (
        ("ann@example.com", ["boss", "staff"]),
        ("Ann@EXAMPLE.com", ["boss", "staff"]),
        ("bob@example.com", ["staff"]),
        ("ann@example.org", ["other"]),
    ):
        has(worker, {"headers": access.person(email)}, *expected)
    for email in (
        "ann@sub.example.com",
        "ann@example.com.evil.example",
        '"@example.com"@evil.example',
        "\u0430nn@example.net",
        "@example.com",
        MACHINE,
        "gateway",
    ):
        worker = load(ALLOWED_EMAILS=["*"], ROLES=roles | {"programs": [MACHINE, "gateway"]})
        sent = {"headers": access.person(email)}
        for role in (*roles, "programs"):
            lacks(worker, sent, role)


@only(shape().bound_fetch)
@pytest.mark.parametrize("name", [PERSON, MACHINE, "@example.com", "example.com"])
def test_a_worker_with_the_name_of_another_kind(name: str, load: Load) -> None:
    worker = load(ALLOWED_WORKERS=["*"], ROLES={"admin": [PERSON, MACHINE, "@example.com"]})
    lacks(worker, {"entrypoint": "Internal", "props": {"caller": name}}, "admin")


@only(shape().machines)
def test_a_program_without_a_name_has_no_role(load: Load, access: Access) -> None:
    """`ctx.access` vouches for it and does not say which it is."""
    worker = load(ALLOWED_SERVICE_TOKENS=["*"], ROLES={"admin": [MACHINE]})
    unnamed = {"access": {"aud": access.aud, "identity": None}}
    lacks(worker, unnamed, "admin")
    assert require(worker, unnamed, kind="machine").status == 200


@only(shape().rpc)
def test_a_role_of_a_method(load: Load) -> None:
    """The fixed value, and the log says why."""
    worker = load(ROLES={"admin": ["gateway"], "other": ["batch"], "person": [PERSON]})
    assert worker.call("needs", "admin", **WORKER) == {"ok": True, "value": ["admin"]}
    for role in ("other", "person", "undefined"):
        assert worker.call("needs", role, **WORKER) == {"ok": False, "error": "forbidden"}
        assert decisions(worker)[-1]["reason"] == "role"


BAD = [
    "",
    "admin",
    "[]",
    "{'admin': []}",
    7,
    True,
    [],
    {"admin": PERSON},
    {"admin": {PERSON: True}},
    {"admin": [7]},
    {"admin": [None]},
    {"admin": [""]},
    {"admin": ["REPLACE_WITH_SOMEBODY"]},
    {"admin": ["*"]},
    {"admin": ["ann@"]},
    {"admin": ["@example"]},
    {"admin": ["@example.com/"]},
    {"admin": ["0123.access/"]},
    {"admin": ["@b\u00fccher.example"]},
    {"admin": ["ann@example.com, bob@example.com"]},
    {"admin": ["two words"]},
    {"admin": ["a.b"]},
    {"": [PERSON]},
    {"two words": [PERSON]},
    {"9": [PERSON]},
    {"Admin": [PERSON]},
    {"a" * 33: [PERSON]},
    '{"admin": []} x',
    {"admin": [PERSON], "r\u00f4le": []},
]


@pytest.mark.parametrize("value", BAD, ids=lambda value: ascii(value)[:30])
def test_malformed_roles_close_the_worker(value: Any, load: Load, inside: dict[str, Any]) -> None:
    worker = load(ROLES=value)
    if shape().edge:
        not_configured(worker, "ROLES", inside["headers"])
    elif shape().bound_fetch:
        not_configured(worker, "ROLES", **inside)
    else:
        answer = worker.call("whoami", **inside)
        assert answer == {"ok": False, "error": "not_configured"}


def test_roles_as_text(load: Load, sends: dict[str, Any]) -> None:
    """As .dev.vars holds them."""
    kind = [*HTTP, "binding"][0]
    worker = load(ROLES=json.dumps({"admin": [KNOWN[kind][0]]}))
    if HTTP:
        has(worker, sends[kind], "admin")
    else:
        assert worker.call("needs", "admin", **WORKER)["ok"] is True


@only(shape().edge)
def test_the_identity_is_as_before(load: Load, access: Access) -> None:
    """What the API sends of it does not grow by itself."""
    kind = HTTP[0]
    headers = access.person() if kind == "human" else access.machine()
    worker = load(ROLES={"admin": [KNOWN[kind][0]]})
    assert len(let_in(worker, headers)) == 2
    refused(worker, "no_proof")
