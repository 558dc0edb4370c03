"""Tests of this Worker in the runtime's own Python: Pyodide under Node, the real Workers SDK.

`plugin.py` has the fixtures, `runtime.py` talks to the Node process, `access.py` stands in for
Cloudflare Access, `needs.py` finds what is needed. `host.mjs` and `inside.py` run in Node.
"""
