"""Run in a process of its own by tests/test_kit.py, as a rendered project's tests are."""


def test_plain():
    """Needs no Node: must pass even when the kit cannot start."""


def test_answers(worker, access):
    headers = access.person("person@example.com")
    assert worker.fetch("/echo", headers=headers).json()["token"] == headers["Cf-Access-Jwt-Assertion"]
    assert worker.env["POLICY_AUD"] == access.aud


def test_reloaded(worker):
    assert worker.fetch("/count").text == "1"
