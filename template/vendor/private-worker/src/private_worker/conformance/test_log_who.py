"""LOG_WHO: whether the log says who is calling, and under which name."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from private_worker.testing.access import MACHINE, PERSON, Access
from private_worker.testing.runtime import Worker

from .lib import Load, decisions, not_configured, only, shape

KEY, OTHER_KEY = "k" * 32, "o" * 64
BINDING: dict[str, Any] = {"entrypoint": "Internal", "props": {"caller": "gateway"}}
NAMES = {"human": PERSON, "machine": MACHINE, "binding": "gateway"}
KINDS = [
    kind
    for kind, there in (
        ("human", shape().humans),
        ("machine", shape().machines),
        ("binding", shape().binding),
    )
    if there
]
BEFORE = ["event", "decision", "reason", "caller", "ray"]


def lines(worker: Worker, event: str) -> list[dict[str, Any]]:
    every = [json.loads(line) for line in worker.logs if line.startswith("{")]
    return [line for line in every if line["event"] == event]


def use(worker: Worker, access: Access, kind: str, path: str = "/", method: str = "GET") -> None:
    """One request or call of a caller who is let in, of this kind."""
    if kind == "binding" and not shape().bound_fetch:
        worker.call("whoami", **BINDING)
        return
    headers = {"human": access.person, "machine": access.machine}
    sent = BINDING if kind == "binding" else {"headers": headers[kind]()}
    worker.fetch(path, method=method, **sent)


def pseudonym(kind: str, name: str, key: str = KEY) -> str:
    return hmac.new(key.encode(), f"{kind} {name}".encode(), hashlib.sha256).hexdigest()[:32]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"LOG_WHO": "none"}, {"LOG_KEY": KEY}], ids=str)
def test_nobody_is_named(settings: Any, kind: str, load: Load, access: Access) -> None:
    """As ever: one line, without a name."""
    worker = load(**settings)
    use(worker, access, kind)
    [line] = decisions(worker)
    assert list(line) == BEFORE
    assert len(worker.logs) == 1 and NAMES[kind] not in worker.logs[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [{}, {"LOG_KEY": KEY}], ids=str)
def test_name(more: Any, kind: str, load: Load, access: Access) -> None:
    worker = load(LOG_WHO="name", **more)
    use(worker, access, kind)
    [line], [answer] = decisions(worker), lines(worker, "answer")
    assert [*line] == [*BEFORE, "who", "method"]
    assert line["decision"] == "allow" and line["who"] == answer["who"] == NAMES[kind]
    assert line["caller"] == answer["caller"] == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_pseudonym(key: str, kind: str, load: Load, access: Access) -> None:
    """HMAC-SHA256 with the project's secret, RFC 2104: without it no list of names helps."""
    worker = load(LOG_WHO="pseudonym", LOG_KEY=key)
    use(worker, access, kind)
    [line], [answer] = decisions(worker), lines(worker, "answer")
    assert line["who"] == answer["who"] == pseudonym(kind, NAMES[kind], key)
    said = "".join(worker.logs)
    assert NAMES[kind] not in said and key not in said


@pytest.mark.parametrize("kind", KINDS)
def test_no_pseudonym_without_the_secret(kind: str, load: Load, access: Access) -> None:
    worker = load(LOG_WHO="pseudonym")
    use(worker, access, kind)
    [line], [answer] = decisions(worker), lines(worker, "answer")
    assert line["who"] is None and answer["who"] is None
    assert NAMES[kind] not in "".join(worker.logs)


@only(shape().humans)
def test_one_person_has_one_pseudonym(load: Load, access: Access) -> None:
    """However the address is written, as in ALLOWED_EMAILS."""
    worker = load(LOG_WHO="pseudonym", LOG_KEY=KEY, ALLOWED_EMAILS=["@example.com"])
    for email in ("ann@example.com", "Ann@Example.com", "bob@example.com"):
        worker.fetch(headers=access.person(email))
    first, second, third = (line["who"] for line in decisions(worker))
    assert first == second != third


@only(shape().binding)
@pytest.mark.parametrize("listed", [["*"], ["gateway"]], ids=str)
def test_a_name_that_is_no_utf_8(listed: Any, load: Load) -> None:
    """A binding can say anything. What is made of its name must not cost the line or the answer."""
    worker = load(LOG_WHO="pseudonym", LOG_KEY=KEY, ALLOWED_WORKERS=listed)
    sent: dict[str, Any] = {"entrypoint": "Internal", "props": {"caller": "\ud800"}}
    if shape().rpc:
        assert worker.call("whoami", **sent)["ok"] is (listed == ["*"])
    else:
        assert worker.fetch(**sent).status == (200 if listed == ["*"] else 403)
    assert len(decisions(worker)[0]["who"]) == 32


@only(shape().binding)
def test_two_workers_have_two_pseudonyms(load: Load) -> None:
    """Their names are compared exactly, as in ALLOWED_WORKERS."""
    worker = load(LOG_WHO="pseudonym", LOG_KEY=KEY, ALLOWED_WORKERS=["*"])
    for name in ("gateway", "Gateway"):
        sent: dict[str, Any] = {"entrypoint": "Internal", "props": {"caller": name}}
        if shape().rpc:
            worker.call("whoami", **sent)
        else:
            worker.fetch(**sent)
    assert [line["who"] for line in decisions(worker)] == [
        pseudonym("binding", "gateway"),
        pseudonym("binding", "Gateway"),
    ]


@only(shape().edge and shape().serves)
def test_what_they_did(load: Load, access: Access) -> None:
    """Method, the API's template and status. Of the request itself nothing."""
    kind = KINDS[0]
    worker = load(LOG_WHO="name")
    use(worker, access, kind, "/orders/private-number?private=1", "DELETE")
    use(worker, access, kind, "/raise", "PUT")
    use(worker, access, kind, "/none", "PROPFIND")
    found = [(line["method"], line["route"], line["status"]) for line in lines(worker, "answer")]
    assert found == [("DELETE", "/orders/{id}", 201), ("PUT", None, 500), ("another", None, 500)]
    named = "".join(json.dumps(line) for line in (*decisions(worker), *lines(worker, "answer")))
    assert "private-number" not in named and "PROPFIND" not in named


@only(shape().edge and shape().serves)
def test_methods_of_http(load: Load, access: Access) -> None:
    """RFC 9110, section 9, as far as it gets to a Worker, and RFC 5789."""
    worker = load(LOG_WHO="name")
    sent = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    for method in (*sent, "PURGE", "SECRET-WORD"):
        use(worker, access, KINDS[0], method=method)
    assert [line["method"] for line in decisions(worker)] == [*sent, "another", "another"]


@only(shape().edge and shape().serves)
def test_who_lacks_a_role(load: Load, access: Access) -> None:
    worker = load(LOG_WHO="name")
    use(worker, access, KINDS[0], "/require?role=admin")
    allowed, refused = decisions(worker)
    assert (refused["reason"], refused["who"]) == ("role", NAMES[KINDS[0]])
    assert lines(worker, "answer")[0]["status"] == 403


@only(shape().edge)
def test_who_is_on_no_list(load: Load, access: Access) -> None:
    """Access has proved who it is. Of whom nothing is proved there is no name."""
    person = KINDS[0] == "human"
    worker = load(LOG_WHO="name")
    stranger = access.person("eve@example.com") if person else access.machine("eve.access")
    worker.fetch(headers=stranger)
    worker.fetch(headers={"Cf-Access-Authenticated-User-Email": "eve@example.com"})
    forged = (access.person if person else access.machine)()
    worker.fetch(headers={name: text[:-8] + "AAAAAAAA" for name, text in forged.items()})
    known, plain, tampered = decisions(worker)
    assert known["who"] == ("eve@example.com" if person else "eve.access")
    assert (known["reason"], known["method"]) == ("not_allowed", "GET")
    assert plain["who"] is None and tampered["who"] is None and tampered["caller"] is None
    assert lines(worker, "answer") == []


@only(shape().binding)
def test_which_worker_is_on_no_list(load: Load) -> None:
    worker = load(LOG_WHO="name")
    stranger: dict[str, Any] = {"entrypoint": "Internal", "props": {"caller": "other"}}
    if shape().rpc:
        worker.call("whoami", **stranger)
    else:
        worker.fetch(**stranger)
    assert decisions(worker)[-1]["who"] == "other"


@only(shape().rpc)
def test_methods(load: Load) -> None:
    """Its name in the place of the route; its error or "ok" in that of the status."""
    worker = load(LOG_WHO="name")
    for method, given in (("add", [1]), ("add", []), ("fail", []), ("needs", ["admin"])):
        worker.call(method, *given, **BINDING)
    found = [(line["method"], line["route"], line["status"]) for line in lines(worker, "answer")]
    assert found == [
        (None, "add", "ok"),
        (None, "add", "bad_request"),
        (None, "fail", "internal_error"),
        (None, "needs", "forbidden"),
    ]


@only(shape().machines)
@pytest.mark.parametrize("mode", ["name", "pseudonym"])
@pytest.mark.parametrize("listed", [["*"], [MACHINE]], ids=str)
def test_a_program_without_a_name(mode: str, listed: Any, load: Load, access: Access) -> None:
    worker = load(LOG_WHO=mode, LOG_KEY=KEY, ALLOWED_SERVICE_TOKENS=listed)
    worker.fetch(access={"aud": access.aud, "identity": None})
    [line] = decisions(worker)
    assert (line["caller"], line["who"]) == ("machine", None)


@only(shape().edge)
def test_who_it_is_stands_there_before_the_api_runs(load: Load, access: Access) -> None:
    """Nobody keeps out of the log by hanging up, or by bringing the API down."""
    worker = load(LOG_WHO="name")
    use(worker, access, KINDS[0], "/cancelled" if shape().serves else "/")
    assert json.loads(worker.logs[0])["who"] == NAMES[KINDS[0]]


@pytest.mark.parametrize(
    "value", ["", " ", "Name", "names", "name ", True, 1, ["name"], {}], ids=str
)
def test_malformed(value: Any, load: Load, inside: dict[str, Any]) -> None:
    closed(load(LOG_WHO=value), "LOG_WHO", inside)


@pytest.mark.parametrize(
    "value", ["", " " * 40, "k" * 31, "REPLACE_WITH_" + KEY, 7, [KEY], {"key": KEY}], ids=str
)
def test_malformed_key(value: Any, load: Load, inside: dict[str, Any]) -> None:
    closed(load(LOG_WHO="pseudonym", LOG_KEY=value), "LOG_KEY", inside)


def closed(worker: Worker, setting: str, inside: dict[str, Any]) -> None:
    """The Worker is, and the key is not in the log."""
    if shape().serves:
        not_configured(worker, setting, **inside)
    else:
        answer = worker.call("whoami", **inside)
        assert answer == {"ok": False, "error": "not_configured"}
    assert "kkkk" not in "".join(worker.logs)
