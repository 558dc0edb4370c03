"""Other Workers that send requests to `Internal`: the binding says who they are."""

from typing import Any

import pytest

from private_worker.testing.access import Access
from private_worker.testing.runtime import Worker

from .lib import PROOF, Load, decisions, let_in, not_configured, refused

GATEWAY = {"entrypoint": "Internal", "props": {"caller": "gateway"}}
CALLERS = {
    "no props": (None, "unnamed_caller"),
    "empty": ({}, "unnamed_caller"),
    "empty name": ({"caller": ""}, "unnamed_caller"),
    "null": ({"caller": None}, "unnamed_caller"),
    "number": ({"caller": 7}, "unnamed_caller"),
    "list": ({"caller": ["gateway"]}, "unnamed_caller"),
    "object": ({"caller": {"name": "gateway"}}, "unnamed_caller"),
    "another prop": ({"Caller": "gateway", "name": "gateway"}, "unnamed_caller"),
    "another Worker": ({"caller": "other"}, "not_allowed"),
    "upper case": ({"caller": "Gateway"}, "not_allowed"),
    "longer": ({"caller": "gateway2"}, "not_allowed"),
    "blank around": ({"caller": " gateway "}, "not_allowed"),
    "several": ({"caller": "gateway,other"}, "not_allowed"),
    "anyone": ({"caller": "*"}, "not_allowed"),
}


def test_bound_worker(worker: Worker) -> None:
    assert let_in(worker, **GATEWAY) == {"kind": "binding", "worker": "gateway"}
    line = decisions(worker)[-1]
    assert (line["decision"], line["caller"]) == ("allow", "binding")
    assert worker.outbound == []


@pytest.mark.parametrize(("props", "reason"), CALLERS.values(), ids=CALLERS)
def test_another_caller(props: Any, reason: Any, worker: Worker) -> None:
    answer = refused(worker, reason, entrypoint="Internal", props=props)
    assert dict(answer.headers) == {
        "content-type": "application/json",
        "cache-control": "private, no-store",
    }


@pytest.mark.parametrize("listed", [["*"], "*", ["other", "gateway"], "other, gateway"], ids=repr)
def test_allowed_workers(listed: Any, load: Load) -> None:
    let_in(load(ALLOWED_WORKERS=listed), **GATEWAY)


def test_anyone_still_needs_a_name(load: Load) -> None:
    worker = load(ALLOWED_WORKERS=["*"])
    refused(worker, "unnamed_caller", entrypoint="Internal")
    refused(worker, "unnamed_caller", entrypoint="Internal", props={"caller": ""})


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        [],
        [""],
        7,
        True,
        {"gateway": 1},
        [7],
        "gateway,",
        ["REPLACE_WITH_IT"],
    ],
    ids=repr,
)
def test_bad_list(value: Any, load: Load) -> None:
    not_configured(load(ALLOWED_WORKERS=value), "ALLOWED_WORKERS", **GATEWAY)


def test_no_list(load: Load) -> None:
    not_configured(load(drop=("ALLOWED_WORKERS",)), "ALLOWED_WORKERS", **GATEWAY)


@pytest.mark.parametrize("props", [None, {"caller": "other"}], ids=repr)
def test_headers_say_nothing(props: Any, worker: Worker, access: Access) -> None:
    """Whoever calls the caller is somebody else, and no token crosses over."""
    for headers in (access.person(), access.machine(), {PROOF: "x", "CF-Worker": "gateway"}):
        response = worker.fetch(headers=headers, entrypoint="Internal", props=props)
        assert response.status == 403
    context = {"aud": access.aud, "identity": {"email": "person@example.com"}}
    assert worker.fetch(access=context, entrypoint="Internal", props=props).status == 403
    assert let_in(worker, access.person(), **GATEWAY)["kind"] == "binding"


def test_log_keeps_names(worker: Worker) -> None:
    props = {"caller": "the-other-worker"}
    worker.fetch("/the-path", headers={"X": "the-header"}, entrypoint="Internal", props=props)
    assert "the-" not in "\n".join(worker.logs)
