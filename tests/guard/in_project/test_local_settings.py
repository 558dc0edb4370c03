"""Runs inside a rendered project: `npm run dev` with .dev.vars.example and `access.dev`."""

import tomllib

from private_worker.config import Config


def test_the_simulated_person_gets_in(worker, project_root):
    settings = tomllib.loads((project_root / ".dev.vars.example").read_text(encoding="utf-8"))
    simulated = Config(project_root / "wrangler.jsonc").data["access"]["dev"]
    worker.load(env={**worker.env, **settings})
    url = "http://localhost:8787/"
    response = worker.fetch(url, access=simulated)
    assert response.status == 200
    assert response.json()["identity"]["email"] == simulated["identity"]["email"]
    assert worker.fetch(url).status == 403
    assert worker.fetch("http://rebound.example:8787/", access=simulated).status == 403


def test_deployed_settings_do_not_believe_it(worker, project_root):
    simulated = Config(project_root / "wrangler.jsonc").data["access"]["dev"]
    assert worker.fetch("/", access=simulated).status == 403
