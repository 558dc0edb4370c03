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

There is no network: outside `access` a Worker reaches only the `routes` that `load` is given.
One Worker runs at a time in each pytest process. `needs.py` finds Node, Pyodide and the Worker's
packages; `host.mjs` and `inside.py` run in Node.
"""
