"""What counts as proof: the signed header; without one, what the runtime itself says; no more."""

from typing import Any

import pytest

from private_worker.testing.access import PERSON, Access
from private_worker.testing.runtime import Worker

from .lib import PROOF, Caller, Load, let_in, only, refused, shape

OTHER_AUD = "0123456789abcdef" * 4
PEOPLE = {
    "no address": {},
    "another address": {"email": "other@example.com"},
    "empty address": {"email": ""},
    "null": {"email": None},
    "number": {"email": 7},
    "list": {"email": [PERSON]},
    "both": {"email": PERSON, "common_name": "x.access"},
    "address elsewhere": {"name": PERSON, "user": {"email": PERSON}, "custom": {"email": PERSON}},
}


@pytest.fixture
def context(access: Access) -> dict[str, Any]:
    """What Access tells the runtime of somebody who may come in."""
    return {"aud": access.aud, "identity": {"email": PERSON} if shape().humans else None}


@pytest.fixture
def anyone(load: Load) -> Worker:
    """The Worker, open to whoever the Access policy admits."""
    lists = {"ALLOWED_EMAILS": shape().humans, "ALLOWED_SERVICE_TOKENS": shape().machines}
    anyone: dict[str, Any] = {name: ["*"] for name, there in lists.items() if there}
    return load(**anyone)


def test_header(worker: Worker, caller: Caller) -> None:
    let_in(worker, caller())


@pytest.mark.parametrize("spelling", [PROOF.lower(), PROOF.upper(), "CF-Access-JWT-Assertion"])
def test_header_name_has_no_case(spelling: Any, worker: Worker, caller: Caller) -> None:
    let_in(worker, {spelling: caller()[PROOF]})


def test_no_proof(fresh: Worker) -> None:
    refused(fresh, "no_proof")
    assert fresh.outbound == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_no_path_and_no_method_is_open(method: Any, worker: Worker) -> None:
    """Not for health checks, robots or Access's own paths either."""
    common = ("/", "/health", "/healthz", "/.well-known/x", "/favicon.ico", "/robots.txt", "/login")
    odd = ("//x", "/%2e%2e/x?a=b", "/;x", "/%2f", "/%00", "/x/../health", "/HEALTH", "/#health")
    own = ("/cdn-cgi/access/certs", "/cdn-cgi/access/login", "/cdn-cgi/x", "/public", "/static/x")
    for path in common + odd + own:
        assert worker.fetch(path, method=method).status == 403


HOSTS = (
    "https://worker.example.com",
    "https://WORKER.example.com:8443",
    "http://worker.example.com",
    "https://worker.account.workers.dev",
    "https://0a1b2c3d-worker.account.workers.dev",
    "https://alias-worker.account.workers.dev",
    "https://team-under-test.cloudflareaccess.com",
    "http://localhost:8787",
    "http://127.0.0.1",
    "https://[::1]",
)


@pytest.mark.parametrize("host", HOSTS)
def test_no_host_is_open(host: Any, worker: Worker, access: Access, caller: Caller) -> None:
    """The address says nothing, with or without Access in front."""
    email = {"Cf-Access-Authenticated-User-Email": "person@example.com"}
    forged = caller(header=access.header(), key=access.stranger)
    for headers in ({}, email, {**email, PROOF: ""}, {**email, **forged}, caller(aud=OTHER_AUD)):
        assert worker.fetch(f"{host}/", headers=headers).status == 403
    assert worker.fetch(f"{host}/", headers=caller()).status == 200


LOCAL = "http://127.0.0.1:8788"
HERE = ("http://127.0.0.1", "http://127.0.0.1:8787", "http://LocalHost:8788", "http://[::1]:8787")
ELSEWHERE = (
    "http://rebound.example",
    "http://rebound.example:8787",
    "http://127.0.0.1.rebound.example:8787",
    "http://localhost.rebound.example:8787",
    "http://notlocalhost:8787",
    "http://192.168.0.7:8787",
    "http://[2001:db8::1]:8787",
    "https://worker.example.com",
)


@pytest.fixture
def local(load: Load, access: Access) -> Worker:
    """The Worker with the settings of local work."""
    return load(TEAM_DOMAIN=LOCAL, POLICY_AUD="local", routes={LOCAL: access.url})


@pytest.mark.parametrize("host", ELSEWHERE)
def test_local_work_has_no_other_name(
    host: Any, local: Worker, caller: Caller, context: Any
) -> None:
    """A page can have its own name lead to this computer, and read what it gets from there."""
    good = caller(iss=LOCAL, aud="local")
    for headers in (good, {PROOF: ""}, {}):
        refused(local, "not_local", headers, f"{host}/", access={**context, "aud": "local"})
    refused(local, "not_local", good, f"{host}/")
    assert local.outbound == []


@only(shape().humans)
@pytest.mark.parametrize("host", HERE)
def test_local_work_of_a_person(host: Any, local: Worker, caller: Caller, context: Any) -> None:
    let_in(local, url=f"{host}/", access={**context, "aud": "local"})


@pytest.mark.parametrize("host", HERE)
def test_local_work(host: Any, local: Worker, caller: Caller) -> None:
    let_in(local, caller(iss=LOCAL, aud="local"), f"{host}/")
    refused(local, "no_proof", url=f"{host}/")


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "CF-Access-Token",
        "Cf-Access-Jwt",
        "Cf-Access-Jwt-Assertion-2",
        "X-Cf-Access-Jwt-Assertion",
        "X-Forwarded-Access-Token",
    ],
)
@pytest.mark.parametrize("scheme", ["", "Bearer "])
def test_token_in_another_header_is_no_proof(
    name: Any, scheme: Any, worker: Worker, caller: Caller
) -> None:
    refused(worker, "no_proof", {name: scheme + caller()[PROOF]})


def test_cookie_is_no_proof(worker: Worker, caller: Caller) -> None:
    """Pages of other sites can make a browser send one."""
    token = caller()[PROOF]
    for name in ("CF_Authorization", "CF_AppSession", PROOF):
        refused(worker, "no_proof", {"Cookie": f"{name}={token}"})


def test_query_is_no_proof(worker: Worker, caller: Caller) -> None:
    for name in ("token", "jwt", "access_token", "cf-access-token", PROOF):
        assert worker.fetch(f"/?{name}={caller()[PROOF]}").status == 403


def test_body_is_no_proof(worker: Worker, caller: Caller) -> None:
    for body in (caller()[PROOF], f"{PROOF}={caller()[PROOF]}"):
        refused(worker, "no_proof", method="POST", body=body)


@pytest.mark.parametrize(
    "headers",
    [
        {"Cf-Access-Authenticated-User-Email": "person@example.com"},
        {"X-Forwarded-Email": "person@example.com", "X-Forwarded-User": "person"},
        {"CF-Access-Client-Id": "0123456789abcdef0123456789abcdef.access"},
        {
            "CF-Access-Client-Id": "0123456789abcdef0123456789abcdef.access",
            "CF-Access-Client-Secret": "0123456789abcdef" * 4,
        },
        {"CF-Worker": "example.com", "CF-Connecting-IP": "127.0.0.1", "Host": "localhost"},
        {"X-Forwarded-For": "127.0.0.1", "CF-Ray": "0123456789abcdef-LHR"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_plain_headers_are_no_proof(headers: Any, worker: Worker) -> None:
    """Anybody can write these."""
    refused(worker, "no_proof", headers)


def test_context_alone(anyone: Worker, context: Any) -> None:
    let_in(anyone, access=context)
    assert anyone.outbound == []


@pytest.mark.parametrize("header", ["", "x", "null", "undefined", "Bearer x", "a.b.c"])
def test_bad_header_is_refused_whatever_the_context_says(
    header: Any, anyone: Worker, context: Any
) -> None:
    refused(anyone, "token_shape", {PROOF: header}, access=context)


def test_expired_header_is_refused_whatever_the_context_says(
    anyone: Worker, caller: Caller, context: Any
) -> None:
    refused(anyone, "expired", caller(exp=1), access=context)


def test_good_header_decides_whatever_the_context_says(worker: Worker, caller: Caller) -> None:
    let_in(worker, caller(), access={"aud": OTHER_AUD, "identity": {"email": "other@example.com"}})


def test_header_sent_twice(worker: Worker, caller: Caller) -> None:
    """The runtime joins the two with a comma, and that is no token."""
    pairs = [*caller().items(), *caller().items()]
    refused(worker, "token_shape", pairs)


@pytest.mark.parametrize("aud", [OTHER_AUD, "", "*", None, 7, [OTHER_AUD], {}])
def test_context_of_another_application(aud: Any, anyone: Worker, context: Any) -> None:
    response = anyone.fetch(access={**context, "aud": aud})
    assert response.status == 403


def test_context_audience_is_compared_whole(anyone: Worker, context: Any, access: Access) -> None:
    for aud in (access.aud[:-1], access.aud + "0", [access.aud], f"{access.aud},{OTHER_AUD}"):
        assert anyone.fetch(access={**context, "aud": aud}).status == 403


@only(shape().humans)
def test_context_of_a_person(worker: Worker, context: Any) -> None:
    """Access has looked at the request already and says so through the runtime."""
    assert let_in(worker, access=context) == {"kind": "human", "email": PERSON}


@only(shape().humans)
@pytest.mark.parametrize("identity", PEOPLE.values(), ids=PEOPLE)
def test_context_of_somebody_else(identity: Any, worker: Worker, access: Access) -> None:
    response = worker.fetch(access={"aud": access.aud, "identity": identity})
    assert response.status == 403


@only(shape().humans)
@pytest.mark.parametrize("identity", [{}, {"email": ""}, {"common_name": "x.access"}, []], ids=repr)
def test_context_without_a_person_is_nobody_even_if_anyone_may_come(
    identity: Any, anyone: Worker, access: Access
) -> None:
    refused(anyone, "identity_unclear", access={"aud": access.aud, "identity": identity})


def test_context_with_an_identity_of_any_kind(anyone: Worker, caller: Caller) -> None:
    """No identity is undefined or null, and an identity is a plain object. Nothing else is either:
    not a person, and not a program whose name the runtime leaves out."""
    found = anyone.fetch("/identities", headers=caller()).json()
    person = {"kind": "human", "email": PERSON} if shape().humans else "caller_kind"
    program = {"kind": "machine", "client_id": None} if shape().machines else "caller_kind"
    expected = {"object": person, "undefined": program, "null": program}
    expected |= {"getter that throws": "JsException"}
    others = found.keys() - expected.keys()
    assert len(others) > 15
    assert found == expected | dict.fromkeys(others, "identity_unclear")


@only(not shape().humans)
def test_context_of_a_person_where_only_machines_come_in(load: Load, access: Access) -> None:
    context = {"aud": access.aud, "identity": {"email": "person@example.com"}}
    refused(load(), "caller_kind", access=context)
    refused(load(ALLOWED_SERVICE_TOKENS=["*"], ALLOWED_EMAILS=["*"]), "caller_kind", access=context)


@only(shape().machines)
def test_context_of_a_machine(load: Load, access: Access) -> None:
    """The runtime does not say which service token it is, so it must be any or none."""
    context = {"aud": access.aud, "identity": None}
    refused(load(), "not_allowed", access=context)
    anyone = load(ALLOWED_SERVICE_TOKENS=["*"])
    assert let_in(anyone, access=context) == {"kind": "machine", "client_id": None}
    if shape().humans:
        people_only = load(ALLOWED_SERVICE_TOKENS=[], ALLOWED_EMAILS=["*"])
        refused(people_only, "not_allowed", access=context)


@only(not shape().machines)
def test_context_without_an_identity(load: Load, access: Access) -> None:
    """It is a service token's, and this Worker is for people only."""
    context = {"aud": access.aud, "identity": None}
    refused(load(), "caller_kind", access=context)
    refused(load(ALLOWED_EMAILS=["*"], ALLOWED_SERVICE_TOKENS=["*"]), "caller_kind", access=context)
