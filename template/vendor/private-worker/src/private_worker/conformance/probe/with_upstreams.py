"""Two private services, and what it costs to forward to them."""

import tracemalloc

import pyodide_js

from guard import read_json, reply
from upstream import Upstream

UPSTREAMS = (
    Upstream(
        binding="BEHIND",
        origin="http://behind.internal",
        prefix="/behind",
        methods=("GET", "HEAD", "POST"),
        timeout=0.5,
    ),
    Upstream(
        binding="BESIDE",
        origin="http://beside.internal",
        prefix="/beside",
        methods=("GET", "PUT"),
        paths=("/files", "/my files/ü"),
        authorization=True,
        max_body=64 * 1024 * 1024,
        pages=True,
    ),
)


def memory():
    """Bytes of WebAssembly, which never get fewer, and the most that Python's objects had."""
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    return [pyodide_js._module.HEAPU8.length, peak]


async def answer(path, request, identity, env):
    """None for a path of others."""
    for upstream in UPSTREAMS:
        if upstream.covers(path):
            return await upstream.forward(request, identity, env)
    match path:
        case "/memory":
            return reply(memory())
        case "/upstream":
            try:
                Upstream(**{"binding": "X", "origin": "http://x", **await read_json(request)})
            except ValueError as error:
                return reply(str(error))
            return reply(None)
    return None
