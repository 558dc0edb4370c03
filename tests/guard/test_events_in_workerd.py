"""What the guard's rule about events rests on, in real workerd: what a Worker hands to another's
`scheduled` and `queue` is a copy or a stub, and none of them is of an event's class.

Two small Workers in JavaScript, since Python's runtime would have to be downloaded.
"""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from wrangler_dev import Dev

pytestmark = pytest.mark.slow

# The one that is called: it answers with the class of what it was given.
CALLED = """
import { WorkerEntrypoint } from "cloudflare:workers";
const kind = (value) => Object.prototype.toString.call(value);
export default class extends WorkerEntrypoint {
  async fetch() {
    return new Response(globalThis.seen ?? "nothing");
  }
  async scheduled(event) { return (globalThis.seen = kind(event)); }
  async queue(batch) { return (globalThis.seen = kind(batch)); }
}
"""
# The one that calls: with all that could carry a class or its name along.
CALLING = """
import { RpcTarget } from "cloudflare:workers";
const TAG = "ScheduledController";
class Target extends RpcTarget { get [Symbol.toStringTag]() { return TAG; } }
class ScheduledController { get [Symbol.toStringTag]() { return TAG; } cron = "*"; }
const named = () => 1;
named[Symbol.toStringTag] = TAG;
const tried = (event) => ({
  nothing: undefined,
  plain: { cron: "*", scheduledTime: 0 },
  tagged: { [Symbol.toStringTag]: TAG, cron: "*" },
  "a class of its name": new ScheduledController(),
  "a target": new Target(),
  "a function": named,
  "a list": Object.assign([1], { [Symbol.toStringTag]: TAG }),
  "a proxy": new Proxy({}, { get: (it, key) => (key === Symbol.toStringTag ? TAG : it[key]) }),
  ...(event ? { "the event of its own cron": event } : {}),
});
async function run(env, event) {
  const seen = {};
  for (const [name, value] of Object.entries(tried(event))) {
    for (const method of ["scheduled", "queue"]) {
      seen[`${name}, ${method}`] = await env.CALLED[method](value).catch((error) => error.name);
    }
  }
  return seen;
}
export default {
  fetch: async (request, env) => Response.json(globalThis.last ?? (await run(env))),
  scheduled: async (event, env) => { globalThis.last = await run(env, event); },
};
"""
EVENTS = {"[object ScheduledController]", "[object QueueController]"}


@pytest.mark.skipif(os.name == "nt", reason="ends processes by their group")
def test_nothing_that_a_worker_sends_is_an_event(
    node: Path, node_modules: Path, tmp_path: Path
) -> None:
    triggers: dict[str, Any] = {"triggers": {"crons": ["* * * * *"]}}
    services = {"services": [{"binding": "CALLED", "service": "called"}]}
    for name, source, more in (("calling", CALLING, services), ("called", CALLED, {})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.js").write_text(source, encoding="utf-8")
        config = {"name": name, "main": "index.js", "compatibility_date": "2026-11-01"}
        text = json.dumps({**config, **triggers, **more})
        (tmp_path / name / "wrangler.json").write_text(text, encoding="utf-8")
    wrangler = [str(node), str(node_modules / "wrangler" / "bin" / "wrangler.js")]
    both = [*wrangler, "-c", "calling/wrangler.json", "-c", "called/wrangler.json"]
    dev = Dev(both, tmp_path, tmp_path / "registry")
    try:
        seen = httpx.get(dev.url, trust_env=False, timeout=60).json()
        assert len(seen) == 16 and not EVENTS & set(seen.values()), seen
        started = f"{dev.url}/cdn-cgi/handler/scheduled?cron=*"
        assert httpx.get(started, trust_env=False, timeout=60).text == "ok"
        seen = httpx.get(dev.url, trust_env=False, timeout=60).json()
        assert len(seen) == 18 and not EVENTS & set(seen.values()), seen
        assert seen["the event of its own cron, scheduled"] == "DataCloneError"
    finally:
        dev.stop()
