"""Callers are told one of the fixed answers, the log one line for each decision."""

import json
from typing import Any

import pytest

from private_worker.testing.access import Access
from private_worker.testing.runtime import Worker

from .lib import PROOF, Caller, Load, decisions, shape

JSON = {"content-type": "application/json", "cache-control": "private, no-store"}
RAY = "8f1c2d3e4a5b6c7d-LHR"
SECRETS = {
    "Cookie": "CF_Authorization=the-cookie",
    "Authorization": "Bearer the-bearer",
    "Cf-Access-Authenticated-User-Email": "the-address@example.com",
    "User-Agent": "the-agent",
    "X-Forwarded-For": "203.0.113.7",
}


def refusals(access: Access, caller: Caller) -> Any:
    """Requests that are refused, each for another reason."""
    header = access.header()
    return {
        "no proof": {},
        "empty header": {"headers": {PROOF: ""}},
        "junk": {"headers": {PROOF: "x" * 20_000}},
        "algorithm": {"headers": caller(header={**header, "alg": "none"})},
        "crit": {"headers": caller(header={**header, "crit": ["the-crit"]})},
        "key id": {"headers": caller(header={**header, "kid": "the-key-id"})},
        "signature": {"headers": caller(header=header, key=access.stranger)},
        "payload": {"headers": {PROOF: access.token(b"[]")}},
        "issuer": {"headers": caller(iss="https://the-issuer.example")},
        "audience": {"headers": caller(aud="the-audience")},
        "expired": {"headers": caller(exp=1)},
        "too early": {"headers": caller(iat=1e12)},
        "type": {"headers": caller(type="org")},
        "nobody": {"headers": caller(drop=("email", "common_name"))},
        "other person": {"headers": access.person("the-person@example.com")},
        "other machine": {"headers": access.machine("the-machine.access")},
        "other context": {"access": {"aud": "the-audience", "identity": None}},
        "odd context": {"access": {"aud": ["the-audience"], "identity": "the-identity"}},
    }


def test_one_answer_whatever_the_reason(worker: Worker, access: Access, caller: Caller) -> None:
    """The same status, body and headers, and none that tells where it comes from."""
    for name, request in refusals(access, caller).items():
        response = worker.fetch(**request)
        assert (name, response.status) == (name, 403)
        assert (name, response.body) == (name, b'{"error": "forbidden"}')
        assert (name, dict(response.headers)) == (name, JSON)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE", "PROPFIND", "QUERY"])
def test_one_answer_whatever_the_request(method: Any, worker: Worker) -> None:
    """A page of another site finds out nothing: a preflight is answered like any other request."""
    headers = {"Accept": "text/html", "Origin": "https://x.example"}
    for path in ("/", "/x", "/x?y=z", "/raise"):
        response = worker.fetch(path, method=method, headers=headers)
        assert (response.status, response.body) == (403, b'{"error": "forbidden"}')
        assert dict(response.headers) == JSON


def test_head_is_refused_without_a_body(worker: Worker) -> None:
    response = worker.fetch(method="HEAD")
    assert (response.status, response.body, dict(response.headers)) == (403, b"", JSON)


def test_not_configured(load: Load, caller: Caller) -> None:
    """One answer for every setting that is missing or wrong."""
    answers = [
        load(drop=("TEAM_DOMAIN",)).fetch(headers=caller()),
        load(TEAM_DOMAIN="the-team.example").fetch(),
        load(POLICY_AUD="REPLACE_WITH_AUD_TAG").fetch(headers=caller()),
        load(POLICY_AUD="the-audience").fetch(headers={PROOF: "x"}),
    ]
    if shape().humans:
        answers.append(load(ALLOWED_EMAILS="the-address").fetch(headers=caller()))
    if shape().machines:
        answers.append(load(ALLOWED_SERVICE_TOKENS="the-client").fetch(headers=caller()))
    for answer in answers:
        assert (answer.status, answer.body) == (500, b'{"error": "not_configured"}')
        assert dict(answer.headers) == JSON


def test_log_names_the_setting_but_not_its_value(load: Load, caller: Caller) -> None:
    worker = load(TEAM_DOMAIN="the-team.example")
    worker.fetch(headers=caller())
    (line,) = decisions(worker)
    assert (line["decision"], line["setting"]) == ("not_configured", "TEAM_DOMAIN")
    assert "the-team" not in "\n".join(worker.logs)


def test_keys_unavailable(fresh: Worker, access: Access, caller: Caller) -> None:
    """That there are no keys is an operator's problem, not the caller's."""
    access.answer(500)
    answer = fresh.fetch(headers=caller())
    assert (answer.status, answer.body) == (503, b'{"error": "keys_unavailable"}')
    assert {**JSON, "retry-after": "30"} == dict(answer.headers)


def test_let_in(worker: Worker, caller: Caller) -> None:
    answer = worker.fetch(headers=caller())
    assert answer.status == 200
    assert dict(answer.headers) == JSON


def test_forged_token_tells_nothing(fresh: Worker, access: Access, caller: Caller) -> None:
    """Which address, tag or team is right cannot be found out without a signature."""
    forged: dict[str, Any] = {"header": access.header(), "key": access.stranger}
    wrong = {"iss": "https://x.example", "aud": "x", "exp": 1, "type": "org", "nbf": 1e12}
    tokens = [caller(**forged), access.person("other@example.com", **forged)]
    tokens += [access.machine("other.access", **forged), caller(drop=("email",), **forged)]
    tokens += [caller(**{name: value}, **forged) for name, value in wrong.items()]
    answers = [fresh.fetch(headers=headers) for headers in tokens]
    assert {(each.status, each.body, str(each.headers)) for each in answers} == {
        (403, answers[0].body, str(answers[0].headers))
    }
    assert {line["reason"] for line in decisions(fresh)} == {"token_signature"}


def test_isolate_goes_on(worker: Worker, access: Access, caller: Caller) -> None:
    """After each kind of refusal the next good request gets 200."""
    for request in refusals(access, caller).values():
        worker.fetch(**request)
        assert worker.fetch(headers=caller()).status == 200


# ---------------------------------------------------------------- the log


def test_one_line_for_each_decision(fresh: Worker, access: Access, caller: Caller) -> None:
    """So that somebody can say later who was let in and who was not."""
    requests = [*refusals(access, caller).values(), {"headers": caller()}]
    for request in requests:
        fresh.fetch(**request)
    assert len(fresh.logs) == len(requests)
    lines = [json.loads(line) for line in fresh.logs]
    assert {line["event"] for line in lines} == {"guard"}
    assert [line["decision"] for line in lines] == ["refuse"] * (len(requests) - 1) + ["allow"]
    for line in lines:
        assert {"event", "decision", "reason", "caller", "ray"} <= set(line)


def test_reason_codes(worker: Worker, access: Access, caller: Caller) -> None:
    """A code for each reason, which is one word."""
    reasons = {}
    for name, request in refusals(access, caller).items():
        worker.fetch(**request)
        reasons[name] = decisions(worker)[-1]["reason"]
    assert all(reason.isidentifier() for reason in reasons.values())
    assert reasons["no proof"] == "no_proof"
    assert reasons["signature"] == "token_signature"
    assert reasons["audience"] == reasons["other context"] == "audience"
    assert reasons["expired"] == "expired"
    by_name = [reasons[name] for name in ("algorithm", "crit", "key id", "signature", "payload")]
    by_name += [reasons[name] for name in ("issuer", "audience", "expired", "too early", "type")]
    by_name += [reasons["no proof"], reasons["junk"], reasons["nobody"]]
    assert len(set(by_name)) == len(by_name)


def test_kind_of_caller(worker: Worker, access: Access) -> None:
    people = [access.person(), access.person("other@example.com")] if shape().humans else []
    machines = [access.machine(), access.machine("other.access")] if shape().machines else []
    for kind, callers in {"human": people, "machine": machines}.items():
        for headers in callers:
            worker.fetch(headers=headers)
            assert decisions(worker)[-1]["caller"] == kind
    worker.fetch()
    assert decisions(worker)[-1]["caller"] is None


@pytest.mark.parametrize("ray", [RAY, "0123456789abcdef"])
def test_ray(ray: Any, worker: Worker, access: Access, caller: Caller, load: Load) -> None:
    for headers in ({}, caller(), {PROOF: "x"}):
        worker.fetch(headers={**headers, "CF-Ray": ray})
        assert decisions(worker)[-1]["ray"] == ray
    closed = load(drop=("POLICY_AUD",))
    closed.fetch(headers={"CF-Ray": ray})
    assert decisions(closed)[-1]["ray"] == ray
    access.answer(500)
    cold = load()
    cold.fetch(headers={**caller(), "CF-Ray": ray})
    assert decisions(cold)[-1]["ray"] == ray


@pytest.mark.parametrize("ray", [None, "", "x", "the-ray", RAY + "x", "a" * 200, 'a","x":"', "é"])
def test_no_ray(ray: Any, worker: Worker) -> None:
    """Without Cloudflare in front, anybody may write anything there."""
    worker.fetch(headers={} if ray is None else {"CF-Ray": ray})
    assert decisions(worker)[-1]["ray"] is None


def test_log_keeps_secrets(load: Load, access: Access, caller: Caller) -> None:
    """Neither what a caller sends nor what the settings hold gets into the log."""
    worker = load()
    extra = [{"headers": caller()}, {"headers": access.person()}, {"headers": access.machine()}]
    for request in [*refusals(access, caller).values(), *extra]:
        request["headers"] = {**request.get("headers", {}), **SECRETS, "CF-Ray": RAY}
        worker.fetch("/the-path?the-query", **request)
    log = "\n".join(worker.logs)
    assert "the-" not in log
    assert "203.0.113.7" not in log
    assert "@" not in log
    for setting in worker.env.values():
        for secret in [setting] if isinstance(setting, str) else setting:
            assert secret not in log
    for secret in (access.signer.kid, "eyJ", "xxxx"):
        assert secret not in log


def test_mistake_in_the_guard_closes_the_door(worker: Worker, access: Access) -> None:
    """A context that no runtime gives is refused; the log says where, not what."""
    answer = worker.fetch(access={"aud": {"the-audience": 1}, "identity": None})
    assert (answer.status, answer.body, answer.error) == (403, b'{"error": "forbidden"}', None)
    (line,) = decisions(worker)
    assert line["reason"] == "unexpected"
    assert "the-audience" not in "\n".join(worker.logs)
