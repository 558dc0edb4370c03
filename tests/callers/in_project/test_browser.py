"""A person in a browser, through the stand-in for Access, against the guard."""

import json
from collections.abc import Callable
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from private_worker.testing.access import PERSON, TEAM_DOMAIN, Access
from private_worker.testing.edge import ASSERTION, COOKIE, Edge

Get = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def get(edge: Edge) -> Get:
    """Send a GET without following a redirect: status, headers, body."""

    def get(path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(urlsplit(edge.url).netloc, timeout=30)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()

    return get


def test_nobody_has_logged_in(get: Get, edge: Edge) -> None:
    """To the login page; the Worker hears nothing."""
    status, headers, _ = get("/private?x=1")
    assert status == 302
    assert headers["location"].startswith(f"{TEAM_DOMAIN}/cdn-cgi/access/login/")
    assert headers["location"].endswith("&redirect_url=%2Fprivate%3Fx%3D1")
    assert edge.reached == []


def test_logged_in(get: Get, edge: Edge) -> None:
    status, _, body = get(Cookie=f"other=1; {COOKIE}={edge.log_in()}")
    assert (status, json.loads(body)["identity"]) == (200, {"kind": "human", "email": PERSON})


def test_logged_in_by_cloudflared(get: Get, edge: Edge) -> None:
    status, _, _ = get(**{"Cf-Access-Token": edge.log_in()})
    assert status == 200


def test_somebody_else(get: Get, edge: Edge) -> None:
    """The Access policy admits them, the Worker does not."""
    status, _, body = get(Cookie=f"{COOKIE}={edge.log_in('other@example.com')}")
    assert (status, json.loads(body)) == (403, {"error": "forbidden"})
    assert len(edge.reached) == 1


def test_expired_session(get: Get, edge: Edge) -> None:
    """A page's own requests get a 401 instead of a redirect that they cannot follow."""
    assert get(Cookie=f"{COOKIE}=old")[0] == 302
    wanted = {"X-Requested-With": "XMLHttpRequest"}
    assert get(Cookie=f"{COOKIE}=old", **wanted)[0] == 401
    assert edge.reached == []


def test_what_access_adds_cannot_be_sent(get: Get, edge: Edge, access: Access) -> None:
    """Neither around Access nor through it."""
    forged = access.person("other@example.com")
    assert get(**forged)[0] == 302 and edge.reached == []
    _, _, body = get(Cookie=f"{COOKIE}={edge.log_in()}", **forged)
    assert json.loads(body)["identity"]["email"] == PERSON
    assert [name for name, _ in edge.reached[0]].count(ASSERTION) == 1


def test_no_access_in_front(get: Get, edge: Edge) -> None:
    """Then a cookie is no proof."""
    edge.in_front = False
    status, _, body = get(Cookie=f"{COOKIE}={edge.log_in()}")
    assert (status, json.loads(body)) == (403, {"error": "forbidden"})
