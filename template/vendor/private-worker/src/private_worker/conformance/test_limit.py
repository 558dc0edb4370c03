"""The limit for each caller who is let in, with Cloudflare's counter as wrangler has it here.

Its binding THREE lets three requests pass in each minute of the clock.
"""

import time
from itertools import permutations
from typing import Any

import pytest

from private_worker.testing.access import MACHINE, PERSON, Access
from private_worker.testing.bindings import fake
from private_worker.testing.runtime import Worker

from .lib import Load, decisions, only, shape

LISTS = ("ALLOWED_EMAILS", "ALLOWED_SERVICE_TOKENS", "ALLOWED_WORKERS")
ANYBODY: dict[str, Any] = dict.fromkeys(LISTS, ["*"])
# Each way in of this shape, with a caller and another one of the kind. `call` is over RPC.
CALLERS = {
    way: callers
    for way, callers, there in (
        ("human", (PERSON, "other@example.com"), shape().humans),
        ("machine", (MACHINE, "other.access"), shape().machines),
        ("fetch", ("gateway", "other"), shape().bound_fetch),
        ("call", ("gateway", "other"), shape().rpc),
    )
    if there
}


@pytest.fixture
def three(load: Load) -> Worker:
    """Lets in anybody, three times. What it is asked belongs to one minute of the clock."""
    if time.time() % 60 > 45:
        time.sleep(60 - time.time() % 60)
    return load(RATE_LIMIT={"$local": "THREE"}, **ANYBODY)


def ask(worker: Worker, access: Access, way: str, name: str, what: str = "whoami") -> Any:
    """The status of the answer, or over RPC its `ok` or `error`. what: a method or a path."""
    if way == "call":
        answer = worker.call(what, props={"caller": name})
        return answer.get("error", answer["ok"])
    if way == "fetch":
        door: dict[str, Any] = {"entrypoint": "Internal", "props": {"caller": name}}
        return worker.fetch(f"/{what}", **door).status
    headers = {"human": access.person, "machine": access.machine}[way](name)
    return worker.fetch(f"/{what}", headers=headers).status


def passes(way: str) -> Any:
    return True if way == "call" else 200


def limited(way: str) -> Any:
    return "rate_limited" if way == "call" else 429


def not_configured(way: str) -> Any:
    return "not_configured" if way == "call" else 500


@pytest.mark.parametrize("way", CALLERS)
def test_one_too_many(way: str, three: Worker, access: Access) -> None:
    """The fourth request is answered by the guard, and the API is not asked. Others still pass."""
    first, other = CALLERS[way]
    for _ in range(3):
        assert ask(three, access, way, first) == passes(way)
    for _ in range(2):
        assert ask(three, access, way, first, "fail" if way == "call" else "raise") == limited(way)
        line = decisions(three)[-1]
        assert (line["decision"], line["reason"]) == ("refuse", "rate_limited")
    assert [line["decision"] for line in decisions(three)] == ["allow"] * 3 + ["refuse"] * 2
    assert "only for the log" not in "\n".join(three.logs)
    assert ask(three, access, way, other) == passes(way)


@only(len(CALLERS) > 1)
@pytest.mark.parametrize(("way", "another"), list(permutations(CALLERS, 2)))
def test_kinds_do_not_share_a_count(way: str, another: str, three: Worker, access: Access) -> None:
    """Not even under one name: a Worker of the account may be called as it likes."""
    name = CALLERS[way][0]
    while ask(three, access, way, name) == passes(way):
        pass
    if {way, another} <= {"fetch", "call"}:  # two ways of one Worker
        assert ask(three, access, another, name) == limited(another)
        return
    assert ask(three, access, another, CALLERS[another][0]) == passes(another)
    if another in ("fetch", "call"):
        assert ask(three, access, another, name) == passes(another)


HTTP = [way for way in CALLERS if way != "call"]


def request_of(way: str, access: Access) -> dict[str, Any]:
    if way == "fetch":
        return {"entrypoint": "Internal", "props": {"caller": "gateway"}}
    return {"headers": access.person() if way == "human" else access.machine()}


@only(bool(HTTP))
@pytest.mark.parametrize("way", HTTP)
def test_the_answer(way: str, three: Worker, access: Access) -> None:
    """Fixed, and not for a cache."""
    *_, answer = (three.fetch("/raise", **request_of(way, access)) for _ in range(4))
    assert (answer.status, answer.body) == (429, b'{"error": "rate_limited"}')
    assert dict(answer.headers) == {
        "content-type": "application/json",
        "cache-control": "private, no-store",
        "retry-after": "60",
    }


@only(shape().rpc)
def test_the_answer_over_rpc(three: Worker) -> None:
    *_, answer = (three.call("whoami", props={"caller": "gateway"}) for _ in range(4))
    assert answer == {"ok": False, "error": "rate_limited"}


@only(bool(HTTP))
@pytest.mark.parametrize("way", HTTP)
def test_all_at_once(way: str, three: Worker, access: Access) -> None:
    answers = three.fetch_all([request_of(way, access)] * 8)
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 5


@pytest.mark.parametrize("way", CALLERS)
def test_who_is_refused_does_not_count(way: str, three: Worker, access: Access) -> None:
    """Nobody uses up the count of another one."""
    for _ in range(4):
        if shape().edge:
            assert three.fetch().status == 403
            forged = access.person(header=access.header(), key=access.stranger)
            assert three.fetch(headers=forged).status == 403
        if way in ("human", "machine"):  # a page of another site, with somebody's cookie
            sent = {**request_of(way, access)["headers"], "Sec-Fetch-Site": "cross-site"}
            assert three.fetch(method="POST", headers=sent).status == 403
        if way == "call":
            assert three.call("whoami", props={})["error"] == "forbidden"
    for _ in range(3):
        assert ask(three, access, way, CALLERS[way][0]) == passes(way)


@only(shape().humans)
def test_one_person_has_one_count(three: Worker, access: Access) -> None:
    """Whatever the address is written like, the token says and the proof is."""
    identity = {"email": "ANN@example.com"}
    assert three.fetch(access={"aud": access.aud, "identity": identity}).status == 200
    assert three.fetch(headers=access.person("Ann@Example.com", sub="one")).status == 200
    assert three.fetch(headers=access.person("ann@example.com", sub="two")).status == 200
    assert three.fetch(headers=access.person("ann@example.COM")).status == 429
    assert three.fetch(headers=access.person("\u00e4nn@example.com")).status == 200


@only(shape().machines)
def test_programs_without_a_name_count_together(three: Worker, access: Access) -> None:
    """Where `ctx.access` vouches for one, it does not say which."""
    unnamed = {"aud": access.aud, "identity": None}
    assert [three.fetch(access=unnamed).status for _ in range(4)] == [200, 200, 200, 429]
    assert three.fetch(headers=access.machine()).status == 200


@only(shape().binding)
def test_names_of_workers_are_as_they_are(three: Worker, access: Access) -> None:
    way = "call" if shape().rpc else "fetch"
    while ask(three, access, way, "gateway") == passes(way):
        pass
    assert ask(three, access, way, "Gateway") == passes(way)


class Never:
    async def limit(self, options):  # type: ignore[no-untyped-def]
        from types import SimpleNamespace

        return SimpleNamespace(success=False)


def test_events_have_no_limit(load: Load) -> None:
    """Nobody is calling."""
    worker = load(RATE_LIMIT=fake(Never))
    worker.scheduled("0 3 * * *")
    worker.queue("jobs", ["a"])
    assert sum('"event": "ran"' in line for line in worker.logs) == 2


class Fails:
    async def limit(self, options):  # type: ignore[no-untyped-def]
        raise RuntimeError(f"no answer for {options}")


@pytest.mark.parametrize("way", CALLERS)
def test_counter_that_fails(way: str, load: Load, access: Access) -> None:
    """Nobody is kept out for it. The log says so, and still not who was calling."""
    worker = load(RATE_LIMIT=fake(Fails), **ANYBODY)
    name = CALLERS[way][0]
    assert ask(worker, access, way, name) == passes(way)
    assert decisions(worker)[-1]["decision"] == "allow"
    said = "\n".join(worker.logs)
    assert "rate limit did not count a request: RuntimeError" in said
    assert "no answer for" not in said and name not in said


class Odd:
    async def limit(self, options):  # type: ignore[no-untyped-def]
        return "yes"


class AlmostTrue:
    async def limit(self, options):  # type: ignore[no-untyped-def]
        from types import SimpleNamespace

        return SimpleNamespace(success=1)


@pytest.mark.parametrize("counter", [Odd, AlmostTrue])
@pytest.mark.parametrize("way", CALLERS)
def test_only_success_is_success(way: str, counter: type, load: Load, access: Access) -> None:
    worker = load(RATE_LIMIT=fake(counter), **ANYBODY)
    assert ask(worker, access, way, CALLERS[way][0]) in (limited(way), 403, "forbidden")


NO_COUNTER: list[Any] = [
    *(None, "", "60", 60, True, [], {}, {"limit": 60}),
    {"$entrypoint": "Internal" if shape().binding else "Default", "props": {"caller": "gateway"}},
]


@pytest.mark.parametrize("value", NO_COUNTER, ids=repr)
@pytest.mark.parametrize("way", CALLERS)
def test_what_cannot_count(way: str, value: Any, load: Load, access: Access) -> None:
    """A setting like the others: who is let in is told of a mistake, others nothing."""
    worker = load(RATE_LIMIT=value, **ANYBODY)
    check_not_configured(way, worker, access)


@pytest.mark.parametrize("way", CALLERS)
def test_no_counter(way: str, load: Load, access: Access) -> None:
    check_not_configured(way, load(drop=("RATE_LIMIT",), **ANYBODY), access)


def check_not_configured(way: str, worker: Worker, access: Access) -> None:
    assert ask(worker, access, way, CALLERS[way][0]) == not_configured(way)
    line = decisions(worker)[-1]
    assert (line["decision"], line["setting"]) == ("not_configured", "RATE_LIMIT")
    if shape().edge:
        assert worker.fetch().status == 403
