"""callers/curl.sh with the real curl, through the stand-in for Access, against the guard."""

import json

import pytest

from curl_calls import NEEDED, Curl, curl, refused
from in_front import Load
from loopback import MACHINE, SECRET
from private_worker.testing.access import Access
from private_worker.testing.edge import ID, KEY, Edge

__all__ = ["curl"]  # a fixture

pytestmark = NEEDED


def test_let_in(curl: Curl, edge: Edge) -> None:
    done = curl(edge.url, "/")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["identity"] == {"kind": "machine", "client_id": MACHINE}
    sent = dict(edge.came[0])
    assert (sent[ID], sent[KEY]) == (MACHINE, SECRET)
    assert "x-other" not in sent, "a .curlrc is not read"


def test_more_for_curl(curl: Curl, edge: Edge) -> None:
    kind = ["--header", "Content-Type: application/json"]
    done = curl(edge.url + "/", "/json", *kind, "--data", '{"a": [1, "{b}"]}', "--compressed")
    assert json.loads(done.stdout)["body"] == {"a": [1, "{b}"]}
    assert curl(edge.url, "/[1-3]{a,b}").returncode == 0
    assert len(edge.came) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["-XPOST", "-HContent-Type: application/json", "-d@-"],
        ["--request", "PUT", "-H", "Content-Type: application/json", "-T", "-"],  # sent in chunks
        ["--header", "Content-Type: application/json", "--data-binary", "@-", "-m", "30"],
    ],
)
def test_body_from_the_input(curl: Curl, edge: Edge, arguments: list[str]) -> None:
    done = curl(edge.url, "/json", *arguments, stdin='{"a": 1}')
    assert (done.returncode, json.loads(done.stdout)) == (0, {"body": {"a": 1}}), done.stderr


def test_closed_input(curl: Curl, edge: Edge) -> None:
    assert curl(edge.url, "/", shell=("sh", "-c", 'exec sh "$0" "$@" <&-')).returncode == 0


def test_head(curl: Curl, edge: Edge) -> None:
    done = curl(edge.url, "/", "--head")
    assert done.returncode == 0 and done.stdout.startswith("HTTP/1.1 200")
    edge.in_front = False
    done = curl(edge.url, "/", "-I")
    assert (done.returncode, done.stdout[:12]) == (22, "HTTP/1.1 403")


def test_answers_of_the_api(curl: Curl, edge: Edge) -> None:
    done = curl(edge.url, "/raise")
    assert (done.returncode, json.loads(done.stdout)["error"]) == (22, "internal_error")


def test_no_proxy_for_this_computer(curl: Curl, edge: Edge) -> None:
    assert curl(edge.url, "/", http_proxy="http://127.0.0.1:1").returncode == 0


def test_refusals(curl: Curl, edge: Edge) -> None:
    """A login redirect, which is not followed; 401 and 403 of strict mode; the guard's 403."""
    edge.expired = {MACHINE}
    refused(curl(edge.url, "/"), 1, "login")
    assert len(edge.came) == 1
    edge.strict = True
    refused(curl(edge.url, "/"), 1, "Access refused with 401")
    edge.expired, edge.service_auth = set(), set()
    refused(curl(edge.url, "/"), 1, "Access refused with 403")
    edge.in_front = False
    refused(curl(edge.url, "/"), 1, "the guard refused")


def test_trace_does_not_show_the_secret(curl: Curl, edge: Edge) -> None:
    """`curl` looks for it in all that is printed."""
    done = curl(edge.url, "/", shell=("sh", "-x"))
    assert done.returncode == 0 and "set -eu +x" in done.stderr


def test_worker_not_ready(curl: Curl, edge: Edge, load: Load, access: Access) -> None:
    edge.worker = load(POLICY_AUD="")
    refused(curl(edge.url, "/"), 1, "not set up")
    edge.worker = load()
    access.answer(500)
    refused(curl(edge.url, "/"), 1, "signing keys")
