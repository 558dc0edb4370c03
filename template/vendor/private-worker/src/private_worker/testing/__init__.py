"""Tests of the Worker in the runtime's own Python: Pyodide under Node, with the real Workers SDK.

A test takes two fixtures and needs no import. `worker` is the project's Worker, freshly loaded;
`access` stands in for Cloudflare Access, whose tokens the guard checks:

    def test_a_person_comes_in(worker, access):
        response = worker.fetch("/items", method="POST", body="{}", headers=access.person())
        assert response.status == 200
        assert response.json() == {"ok": True}

    worker.fetch(path, …)       an HTTP request: response.status, .headers, .text, .json(), .error
    worker.call(method, …)      an RPC method of `Internal`, as another Worker calls it
    worker.start(path, …)       a request that goes on meanwhile: .result(), .cancel()
    worker.fetch_all([…])       many requests at once
    worker.listen()             a real HTTP address, for clients that need one
    worker.load(env=…, …)       loads it again, with other settings, bindings or private services
    worker.scheduled("0 3 * * *")           runs the cron handler of src/events.py
    worker.queue("name", [body, …])         runs the queue handler; what becomes of each message
    worker.durable_object("ROOM", "lobby")  an object to call: .call(method, …), .alarm()
    worker.workflow("FLOW")                 .start(params), .send_event(run, type, payload)
    worker.run(function)        calls async def function(env) in the Worker, to fill a store
    worker.sent                 what the Worker sent to queues
    worker.advance(seconds)     moves its clocks
    worker.logs, .outbound      what it printed, and the requests that it sent

    access.person("a@example.com")          headers of a person; by default of PERSON
    access.machine(client_id)               headers of a service token; by default of MACHINE
    access.person(exp=0, drop=("nbf",))     claims are replaced, added or left out
    access.rotate()                         signs with a new key
    access.answer(503)                      what the server with the public keys answers

PERSON, MACHINE and the settings in tests (TEST_VARS) are in `private_worker.testing.access`,
exceptions such as RpcError in `private_worker.testing.runtime`. `private_worker.testing.edge.Edge`
is Access as its clients see it: logins, cookies and service tokens in front of the Worker.

`env` holds what wrangler.jsonc says: vars, KV, D1 with its migrations, R2, queue producers, rate
limits and Analytics Engine as wrangler has them on this computer, empty for each test, Durable
Objects and Workflows of src/events.py, and the secrets in .dev.vars. For what only Cloudflare has,
such as AI, Vectorize or another Worker, a test names a class of its own:

    worker.load(fakes={"AI": FakeAI})

A test that fails shows the Worker's log, with tracebacks of your own code.

`uv run pytest --workerd` runs the same tests in real workerd, see `private_worker.testing.workerd`.

There is no network: outside `access` a Worker reaches only the `routes` that `load` is given.
One Worker runs at a time in each pytest process. `needs.py` finds Node, Pyodide and the Worker's
packages; the files in JavaScript, `inside.py` and `_cloudflare/` run in Node. Each `load` is a new
isolate: nothing is left of the one before, but packages stay imported. What is refused or missing
at Cloudflare is so here; docs/reference/kit-and-workerd.md in the template's repository has the
list, with what stays different. What objects.mjs does not model is said at its top.
"""
