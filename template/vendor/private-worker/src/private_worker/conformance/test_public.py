"""Should this Worker ever get a hostname, nobody gets in there."""

from typing import Any

import pytest

from private_worker.testing.access import Access
from private_worker.testing.runtime import RpcError, Worker

from .lib import FORBIDDEN, decisions


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/Internal", "/?entrypoint=Internal"])
def test_public_http(path: Any, method: Any, worker: Worker, access: Access) -> None:
    """The inner door does not open from outside, whatever the request says of itself."""
    for headers in ({}, access.person(), access.machine(), {"CF-Worker": "gateway"}):
        response = worker.fetch(path, method=method, headers=headers, props={"caller": "gateway"})
        assert response.status == 403
        assert response.headers["Cache-Control"] == "private, no-store"
        assert method == "HEAD" or response.json() == FORBIDDEN
        assert decisions(worker)[-1]["decision"] == "refuse"
    context = {"aud": access.aud, "identity": {"email": "person@example.com"}}
    assert worker.fetch(path, method=method, access=context).status == 403
    assert worker.outbound == []


def test_default_has_no_methods(worker: Worker) -> None:
    for name in ("whoami", "serve", "public", "handle"):
        with pytest.raises(RpcError):
            worker.call(name, entrypoint="Default", props={"caller": "gateway"})
