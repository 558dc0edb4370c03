# Managed by the private-worker template: do not edit, an update replaces it.
"""callers/curl.sh with the real curl, through the stand-in for Access, against this guard."""

import json
import os
import shutil
import subprocess

import pytest

from kit.access import MACHINE
from kit.edge import ID, KEY, SECRET

pytestmark = pytest.mark.skipif(
    not (shutil.which("sh") and shutil.which("curl")), reason="sh or curl is not installed"
)


@pytest.fixture
def curl(project_root, tmp_path):
    """Run the script: `env` changes the environment, None takes a name out of it."""
    (tmp_path / ".curlrc").write_text('header = "X-Other: 1"\n', encoding="utf-8")

    def curl(url, *arguments, **env):
        token = {"CF_ACCESS_CLIENT_ID": MACHINE, "CF_ACCESS_CLIENT_SECRET": SECRET}
        given = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "URL": url, **token, **env}
        script = str(project_root / "callers" / "curl.sh")
        done = subprocess.run(
            ["sh", script, *arguments],
            env={name: value for name, value in given.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert SECRET not in done.stdout + done.stderr
        assert len(done.stderr.splitlines()) <= 1
        return done

    return curl


def refused(done, status, words):
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr


def test_let_in(curl, edge):
    done = curl(edge.url, "/")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["identity"] == {"kind": "machine", "client_id": MACHINE}
    sent = dict(edge.came[0])
    assert (sent[ID], sent[KEY]) == (MACHINE, SECRET)
    assert "x-other" not in sent, "a .curlrc is not read"


def test_more_for_curl(curl, edge):
    kind = ["--header", "Content-Type: application/json"]
    done = curl(edge.url + "/", "/json", *kind, "--data", '{"a": [1, "{b}"]}', "--verbose")
    assert json.loads(done.stdout)["body"] == {"a": [1, "{b}"]}
    assert curl(edge.url, "/[1-3]{a,b}").returncode == 0
    assert len(edge.came) == 2


def test_answers_of_the_api(curl, edge):
    done = curl(edge.url, "/raise")
    assert (done.returncode, json.loads(done.stdout)["error"]) == (22, "internal_error")


def test_no_proxy_for_this_computer(curl, edge):
    assert curl(edge.url, "/", http_proxy="http://127.0.0.1:1").returncode == 0


def test_refusals(curl, edge):
    """A login redirect, which is not followed; 401 and 403 of strict mode; the guard's 403."""
    edge.expired = {MACHINE}
    refused(curl(edge.url, "/", "--location"), 1, "login")
    assert len(edge.came) == 1
    edge.strict = True
    refused(curl(edge.url, "/"), 1, "Access refused with 401")
    edge.expired, edge.service_auth = set(), set()
    refused(curl(edge.url, "/"), 1, "Access refused with 403")
    edge.in_front = False
    refused(curl(edge.url, "/"), 1, "the guard refused")


def test_worker_not_ready(curl, edge, load, access):
    edge.worker = load(POLICY_AUD="")
    refused(curl(edge.url, "/"), 1, "not set up")
    edge.worker = load()
    access.answer(500)
    refused(curl(edge.url, "/"), 1, "signing keys")


def test_secret_is_on_no_command_line(curl, edge, tmp_path):
    """A curl that writes down how it was called, in place of the real one."""
    seen = tmp_path / "seen"
    fake = tmp_path / "curl"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{seen}\nenv >>{seen}.env\ncat >>{seen}.in\n')
    fake.chmod(0o755)
    curl(edge.url, "/", PATH=f"{tmp_path}:{os.environ['PATH']}")
    arguments = seen.read_text().splitlines()
    assert edge.url + "/" in arguments and SECRET not in seen.read_text()
    assert arguments.index("--no-location") > arguments.index("--max-time")
    assert SECRET in (tmp_path / "seen.in").read_text()


def test_nobody_answers(curl):
    done = curl("http://127.0.0.1:1", "/")
    assert done.returncode == 7 and "curl: (7)" in done.stderr


@pytest.mark.parametrize(
    ("path", "env", "words"),
    [
        ("/", {"URL": "http://api.example.com"}, "URL must be"),
        ("/", {"URL": "https://user:password@api.example.com"}, "user name"),
        ("/", {"URL": None}, "URL must be"),
        ("", {}, "usage"),
        ("x", {}, "begins with /"),
        ("//evil.example.com", {}, "usage"),
        ("https://evil.example.com/", {}, "begins with /"),
        ("/", {"CF_ACCESS_CLIENT_ID": None}, "CF_ACCESS_CLIENT_ID is not set"),
        ("/", {"CF_ACCESS_CLIENT_SECRET": ""}, "CF_ACCESS_CLIENT_SECRET is not set"),
        ("/", {"CF_ACCESS_CLIENT_SECRET": 'x"\nurl = "https://x'}, "no secret has"),
        ("/", {"CF_ACCESS_CLIENT_SECRET": "$CF_ACCESS_CLIENT_SECRET"}, "no secret has"),
        ("/", {"CF_ACCESS_CLIENT_ID": MACHINE + "\n"}, "no Client ID has"),
        ("/", {"CF_ACCESS_CLIENT_ID": "cfast_x"}, ".access"),
        ("/", {"CF_ACCESS_CLIENT_SECRET": MACHINE}, "mixed up"),
    ],
)
def test_nothing_is_sent(curl, path, env, words):
    url = env.pop("URL", "http://127.0.0.1:1")
    refused(curl(url, path, **env), 2, words)
