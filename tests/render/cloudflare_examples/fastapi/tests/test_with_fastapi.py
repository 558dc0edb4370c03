"""Examples of Cloudflare's, answered by FastAPI."""

import pytest


@pytest.fixture
def ask(worker, access):
    def ask(path, method="GET", **request):
        return worker.fetch(path, method=method, headers=access.person(), **request)

    return ask


def test_03_fastapi(worker, ask):
    assert ask("/").json() == {"message": "go to /hi/<name>"}
    assert ask("/hi/Ann").text == "<p>Hello, Ann!</p>"
    assert ask("/hi/%3Cb%3E").text == "<p>Hello, &lt;b&gt;!</p>"
    assert worker.fetch("/hi/Ann").status == 403


def test_03_fastapi_variable(ask):
    assert ask("/env").json() == {"message": "Hello from wrangler.jsonc"}


def test_fastapi_models(ask):
    assert ask("/greetings", "POST", json={"name": "Ann", "loud": True}).json() == {
        "text": "HELLO ANN"
    }
    assert ask("/greetings", "POST", json={"loud": True}).status == 400


def test_binding_with_fastapi(ask):
    assert ask("/binding").json() == {"greeting": "hello"}


def test_d1_with_fastapi(ask):
    assert ask("/quote").json()["author"] == "Tim Peters"


def test_durable_objects_with_fastapi(ask):
    assert ask("/messages/lobby/a", "POST").json() == ["a"]
    assert ask("/messages/lobby/b", "POST").json() == ["a", "b"]
    assert ask("/messages/cellar/c", "POST").json() == ["c"]


class Model:
    async def run(self, model, options):
        return {"response": f"{model} was asked: {options['input']}"}


def test_ai_with_fastapi(worker, ask):
    worker.load(fakes={"AI": Model})
    assert "Where does tea come from?" in ask("/ai").json()["answer"]


def test_assets_with_fastapi(worker, ask):
    style = ask("/asset/style.css")
    assert (style.text, style.headers["Content-Type"]) == (
        "p { color: green }\n",
        "text/css; charset=utf-8",
    )
    assert ask("/asset/nothing.css").status == 404
    assert worker.fetch("/style.css").status == 403
