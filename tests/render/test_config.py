"""The configuration of every shape: each way in is explicit, everything is pinned."""

import json
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import shapes
from conftest import ROOT, Render
from files import all_files, read_jsonc, texts
from private_worker import lock
from private_worker.testing import needs
from shapes import BINDING, HUMAN, MACHINE

HASHES = (".private-worker.toml", "pylock.toml", "vendor/private-worker/manifest.sha256")
EXACT = re.compile(r"\d+\.\d+\.\d+")
PYTHON_314 = date(2026, 9, 8)  # the first compatibility date with Python 3.14


@pytest.fixture
def wrangler(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_jsonc(project / "wrangler.jsonc")
    return found


@pytest.fixture
def pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def package(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "package.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def validator(node_modules: Path) -> jsonschema.Draft7Validator:
    schema = json.loads((node_modules / "wrangler" / "config-schema.json").read_text())
    return jsonschema.Draft7Validator(schema)


def expected_vars(shape: shapes.Shape) -> dict[str, Any]:
    """The settings the guard needs, and no other."""
    filled = shape["filled"]
    found: dict[str, Any] = {}
    if shape["exposure"] != "none":
        team = f"https://{shapes.TEAM}.cloudflareaccess.com"
        found["TEAM_DOMAIN"] = team if filled else "REPLACE_WITH_TEAM_DOMAIN"
        found["POLICY_AUD"] = shapes.AUD if filled else "REPLACE_WITH_AUD_TAG"
    for caller, name, values, placeholder in (
        (HUMAN, "ALLOWED_EMAILS", (*shapes.EMAILS, shapes.DOMAIN), "REPLACE_WITH_YOUR_EMAIL"),
        (MACHINE, "ALLOWED_SERVICE_TOKENS", shapes.CLIENT_IDS, "REPLACE_WITH_CLIENT_ID"),
        (BINDING, "ALLOWED_WORKERS", shapes.CALLING_WORKERS, "REPLACE_WITH_CALLING_WORKER"),
    ):
        if caller in shape["callers"]:
            found[name] = list(values) if filled else [placeholder]
    return found


def expected_services(shape: shapes.Shape) -> list[dict[str, Any]]:
    service_id = shapes.SERVICE_ID if shape["filled"] else "REPLACE_WITH_VPC_SERVICE_ID"
    names = [name.upper().replace("-", "_") for name in shapes.UPSTREAMS[: shape["upstreams"]]]
    return [{"binding": name, "service_id": service_id, "remote": True} for name in names]


def expected_limits(shape: shapes.Shape) -> list[dict[str, Any]]:
    """The binding but for its `namespace_id`, which is of the Worker's own."""
    simple = {"limit": shapes.LIMIT, "period": 60}
    return [{"name": "RATE_LIMIT", "simple": simple}] if shape["limited"] else []


def without_ids(block: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in limit.items() if key != "namespace_id"}
        for limit in block.get("ratelimits", [])
    ]


def test_wrangler_knows_every_key(
    wrangler: dict[str, Any], validator: jsonschema.Draft7Validator
) -> None:
    """Wrangler's own schema, which refuses unknown keys."""
    assert [error.message for error in validator.iter_errors(wrangler)] == []


def test_schema_refuses_unknown_keys(validator: jsonschema.Draft7Validator) -> None:
    """So that the test before this one means something."""
    assert list(validator.iter_errors({"name": "x", "no_such_key": 1}))


def test_each_way_in_is_explicit(wrangler: dict[str, Any], shape: shapes.Shape) -> None:
    """Left out, each of these follows a default that has changed."""
    exposure, previews = shape["exposure"], bool(shape["preview_urls"])
    assert wrangler["workers_dev"] is (exposure == "workers_dev")
    assert wrangler["preview_urls"] is previews
    filled = shape["filled"]
    hostname = "invoices.example.net" if filled else "my-api.example.com"
    pattern = "www.example.net/invoices/*" if filled else "api.example.com/*"
    zone = "example.net" if filled else "example.com"
    assert wrangler["routes"] == {
        "custom_domain": [
            {
                "pattern": hostname,
                "custom_domain": True,
                "enabled": True,
                "previews_enabled": False,
            }
        ],
        "route": [{"pattern": pattern, "zone_name": zone}],
    }.get(exposure, [])
    assert "route" not in wrangler


def test_staging_inherits_nothing(wrangler: dict[str, Any], shape: shapes.Shape) -> None:
    """A second Worker with every way in, setting and service of its own."""
    if not shape["staging"]:
        assert "env" not in wrangler
        return
    filled, exposure = shape["filled"], shape["exposure"]
    (name, staging), *others = wrangler["env"].items()
    assert (name, others) == ("staging", [])
    own = "staging.invoices.example.net" if filled else "staging.my-api.example.com"
    pattern = "staging.example.net/invoices/*" if filled else "staging.example.com/*"
    expected: dict[str, Any] = {
        "name": "my-api-staging",
        "workers_dev": exposure == "workers_dev",
        "preview_urls": False,
        "routes": wrangler["routes"],
        "vars": dict(wrangler["vars"]),
    }
    if exposure == "custom_domain":
        expected["routes"] = [{**wrangler["routes"][0], "pattern": own}]
    if exposure == "route":
        expected["routes"] = [{**wrangler["routes"][0], "pattern": pattern}]
    if exposure != "none":
        # An application of its own: a token for production is of no use here.
        aud = shapes.STAGING_AUD if filled else "REPLACE_WITH_AUD_TAG"
        expected["vars"]["POLICY_AUD"] = aud
    if shape["upstreams"]:
        # Production's private services hold production's data.
        missing = {"service_id": "REPLACE_WITH_VPC_SERVICE_ID"}
        expected["vpc_services"] = [{**each, **missing} for each in wrangler["vpc_services"]]
    assert without_ids(staging) == expected_limits(shape)
    assert {key: value for key, value in staging.items() if key != "ratelimits"} == expected


def test_settings_and_services(wrangler: dict[str, Any], shape: shapes.Shape) -> None:
    """Every var the guard reads is there, and nothing else; likewise the private services."""
    assert wrangler["vars"] == expected_vars(shape)
    assert wrangler.get("vpc_services", []) == expected_services(shape)


def test_limit_of_each_caller(wrangler: dict[str, Any], shape: shapes.Shape) -> None:
    """A count for each Worker and for previews: with one id between them they would share it."""
    assert without_ids(wrangler) == expected_limits(shape)
    assert ("ratelimits" in wrangler) == shape["limited"]
    blocks = [wrangler, wrangler.get("previews", {}), wrangler.get("env", {}).get("staging", {})]
    ids = [limit["namespace_id"] for block in blocks for limit in block.get("ratelimits", [])]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[1-9][0-9]{0,8}", each) for each in ids)


def test_workers_do_not_share_a_limit(rendered: Render) -> None:
    """Two of an account have another number each, and the same one after each update."""
    found = set()
    for name in ("my-api", "my-api2", "my-api"):
        project = rendered(profile="custom", worker_name=name, requests_per_minute="10")
        found.add(read_jsonc(project / "wrangler.jsonc")["ratelimits"][0]["namespace_id"])
    assert len(found) == 2


def test_previews_repeat_the_settings(wrangler: dict[str, Any], shape: shapes.Shape) -> None:
    """`wrangler preview` inherits nothing; without its own settings a preview is shut."""
    if shape["preview_urls"]:
        expected: dict[str, Any] = {"vars": wrangler["vars"]}
        if shape["upstreams"]:
            expected["vpc_services"] = wrangler["vpc_services"]
        previews = dict(wrangler["previews"])
        assert without_ids(previews) == expected_limits(shape)
        previews.pop("ratelimits", None)
        assert previews == expected
    else:
        assert "previews" not in wrangler


def test_no_entrypoint_is_named_default(project: Path) -> None:
    """Binding to an entrypoint "default" breaks development."""
    for name, text in texts(project).items():
        assert not re.search(r"entrypoint[\"']?\s*[:=]\s*[\"']default[\"']", text), name


def test_local_identity_stays_local(wrangler: dict[str, Any], shape: shapes.Shape) -> None:
    """`access.dev` exists for a Worker with an address, and no real tag is in it."""
    if shape["exposure"] == "none":
        assert "access" not in wrangler
        return
    assert set(wrangler["access"]) == {"dev"}
    assert wrangler["access"]["dev"]["aud"] == "local"
    assert ("identity" in wrangler["access"]["dev"]) == (HUMAN in shape["callers"])


def test_logs_hold_no_request(wrangler: dict[str, Any]) -> None:
    """Observability is on; Cloudflare's own line with headers and queries is off."""
    assert wrangler["observability"]["enabled"] is True
    assert wrangler["observability"]["redact_query_string"] is True
    assert wrangler["observability"]["logs"]["invocation_logs"] is False


def test_one_python(
    project: Path, wrangler: dict[str, Any], pyproject: dict[str, Any], package: dict[str, Any]
) -> None:
    """Compatibility date, requires-python, .python-version and the kit's Pyodide agree."""
    assert date.fromisoformat(wrangler["compatibility_date"]) >= PYTHON_314
    assert wrangler["compatibility_flags"] == ["python_workers"]
    assert wrangler["main"] == "src/entry.py" and (project / wrangler["main"]).is_file()
    supported = SpecifierSet(pyproject["project"]["requires-python"])
    assert supported.contains("3.14.2") and supported.contains("3.11.0")
    pinned = project / ".python-version"
    assert not pinned.exists() or supported.contains(pinned.read_text().strip())
    assert package["devDependencies"]["pyodide"] == needs.PYODIDE
    assert lock.PYTHON == (3, 14)


def test_versions_are_pinned(pyproject: dict[str, Any], package: dict[str, Any]) -> None:
    """What is deployed and what deploys is exact, and Node is new enough."""
    assert set(package["devDependencies"]) == {"pyodide", "wrangler"}
    assert "dependencies" not in package
    assert all(EXACT.fullmatch(version) for version in package["devDependencies"].values())
    assert package["engines"] == {"node": ">=22.12"}
    tools = {need.name: need for need in map(Requirement, pyproject["dependency-groups"]["dev"])}
    exact = [tools["workers-py"], *map(Requirement, pyproject["project"]["dependencies"])]
    (sdk,) = map(Requirement, pyproject["tool"]["uv"]["constraint-dependencies"])
    assert sdk.name == "workers-runtime-sdk" and sdk.name in tools
    for need in (*exact, sdk):
        assert re.fullmatch(r"==\d+\.\d+\.\d+", str(need.specifier)), need


def unbounded(lines: list[str]) -> list[str]:
    """The requirements that a release with another meaning could get into."""
    needs = list(map(Requirement, lines))
    upper = {"<", "<=", "==", "~="}
    return [str(need) for need in needs if not {part.operator for part in need.specifier} & upper]


def test_tools_are_bounded(project: Path, pyproject: dict[str, Any]) -> None:
    """Below the next version that may break; a folder and the SDK, which is pinned, aside."""
    vendored = tomllib.loads(
        (project / "vendor" / "private-worker" / "pyproject.toml").read_text(encoding="utf-8")
    )
    package = vendored["project"]
    extras = package["optional-dependencies"].values()
    assert unbounded([*package["dependencies"], *sum(extras, [])]) == []
    assert unbounded(vendored["build-system"]["requires"]) == []
    groups = pyproject["dependency-groups"].values()
    free = {line.partition("[")[0] for line in unbounded(sum(groups, []))}
    assert free == {"private-worker", "workers-runtime-sdk"}
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert unbounded(own["dependency-groups"]["dev"]) == []


def test_runtime_dependencies(pyproject: dict[str, Any], shape: shapes.Shape) -> None:
    """None but FastAPI, when it was chosen."""
    names = [Requirement(line).name for line in pyproject["project"]["dependencies"]]
    assert names == (["fastapi"] if shape["framework"] == "fastapi" else [])


def test_lock(project: Path, shape: shapes.Shape) -> None:
    """A new project can be tested and deployed as it is: its lock has the SDK, and FastAPI with
    what that needs, with wheels for Pyodide."""
    locked = lock.read(project)
    assert not list(lock.out_of_date(project, locked))
    names = {package.name for package in locked}
    assert ({"fastapi", "pydantic-core"} <= names) == (shape["framework"] == "fastapi")
    assert names == {lock.SDK} or shape["framework"] == "fastapi"
    assert all(package.url.startswith("https://") for package in locked)


def test_scripts_of_package_json(package: dict[str, Any], shape: shapes.Shape) -> None:
    """The names of Cloudflare's generator. pywrangler deploys: it adds the SDK. dev is local, and
    leaves the Worker the host that was asked for, which the guard looks at there."""
    scripts = package["scripts"]
    assert {"dev", "deploy", "test"} <= set(scripts)
    leave = " --infer-origin-from-routes=false" if shape["exposure"] != "none" else ""
    assert scripts["dev"] == "uv run pywrangler dev" + leave
    # With a second environment wrangler asks for the first one's name, which is empty.
    empty = ' --env ""' if shape["staging"] else ""
    deploy = "uv run private-worker locked && uv run pywrangler deploy"
    assert scripts["deploy"] == deploy + empty
    staging = f"{deploy} --env staging" if shape["staging"] else None
    assert scripts.get("deploy:staging") == staging
    assert scripts["test"] == "uv run pytest"


def test_names_agree(
    wrangler: dict[str, Any], pyproject: dict[str, Any], package: dict[str, Any]
) -> None:
    assert package["name"] == wrangler["name"] == "my-api"
    assert pyproject["project"]["name"].startswith(wrangler["name"])
    assert package["private"] is True


def test_workflow(project: Path, shape: shapes.Shape) -> None:
    """CI of the chosen kind, and of no other; it tests, and deploys through pywrangler."""
    github, gitlab = project / ".github", project / ".gitlab-ci.yml"
    assert github.exists() == (shape["ci"] == "github")
    assert gitlab.exists() == (shape["ci"] == "gitlab")
    files = list(github.rglob("*.yml")) if shape["ci"] == "github" else [gitlab]
    if shape["ci"] == "none":
        return
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert re.search("npm run deploy|wrangler deploy", text)
    assert re.search("npm test|uv run pytest", text)
    assert ("staging" in text) == shape["staging"]
    assert ("private-worker check" in text) == shape["ops"]
    assert "npm run test:guard" in text
    assert text.index("private-worker locked") < text.index("npm test")
    for path in files:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))
    for used in re.findall(r"uses: (\S+)", text):
        assert re.search(r"@([0-9a-f]{40}|v\d+(\.\d+)*)$", used), used


DIGEST = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
KEYWORDS = {"stages", "workflow", "default", "variables"}


def test_gitlab_shows_the_token_to_wrangler_only(project: Path, shape: shapes.Shape) -> None:
    """A job with an environment gets the token, all of it: so it installs nothing."""
    if shape["ci"] != "gitlab":
        return
    whole = yaml.safe_load((project / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    jobs = {name: job for name, job in whole.items() if name not in KEYWORDS}
    deploys = {name: job for name, job in jobs.items() if "environment" in job}
    wanted = {"staging": "staging", "deploy": "production"} if shape["staging"] else None
    assert {name: job["environment"] for name, job in deploys.items()} == (
        wanted or {"deploy": "production"}
    )
    for job in deploys.values():
        (command,) = job["script"]
        assert re.fullmatch(r"npx --no wrangler deploy( --env (staging|''))?", command)
        assert not {"before_script", "after_script", "extends", "cache", "services"} & set(job)
        assert job["dependencies"] == ["build"]
        assert job["rules"] == [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]
    assert set(whole["default"]) == {"image"}
    build = jobs["build"]
    assert build["artifacts"]["paths"] == ["node_modules", "python_modules"]
    assert build["script"] == ["uv run --locked private-worker locked"]
    assert build["rules"] == deploys["deploy"]["rules"]


def test_gitlab_runs_nothing_as_the_network_sends_it(project: Path, shape: shapes.Shape) -> None:
    """Images by digest; uv by the hashes that the template's own lock file has from PyPI."""
    files = [project / ".gitlab-ci.yml"] if shape["ci"] == "gitlab" else []
    files += [project / "callers" / "gitlab-ci.yml"] if MACHINE in shape["callers"] else []
    for path in files:
        text = path.read_text(encoding="utf-8")
        images = re.findall(r"^ +image: (\S+)", text, re.M)
        assert images and all(DIGEST.fullmatch(image) for image in images)
        assert not re.search(r"\|\s*(\w+=\S+\s+)*(env\s+)?(ba|da)?sh\b", text)
    if shape["ci"] == "gitlab":
        locked = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
        (uv,) = [package for package in locked if package["name"] == "uv"]
        known = {wheel["url"].split("/")[-1]: wheel["hash"] for wheel in uv["wheels"]}
        whole = yaml.safe_load(files[0].read_text(encoding="utf-8"))
        wheels = [line.split("  ") for line in whole["variables"]["UV_WHEELS"].splitlines()]
        machines = [re.search(r"_(x86_64|aarch64)\.whl$", name) for _, name in wheels]
        assert [found and found[1] for found in machines] == ["x86_64", "aarch64"]
        assert [known.get(name) for _, name in wheels] == [f"sha256:{hash}" for hash, _ in wheels]


def test_github_shows_the_token_to_one_step(project: Path, shape: shapes.Shape) -> None:
    if shape["ci"] != "github":
        return
    text = (project / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    whole = yaml.safe_load(text)
    *before, last = whole["jobs"]["deploy"]["steps"]
    assert "CLOUDFLARE_API_TOKEN" in last["env"] and last["run"].startswith("npm run deploy")
    del last["env"]
    assert "secrets." not in str(whole)
    assert "environment" in whole["jobs"]["deploy"]


def test_jobs_that_call(project: Path, shape: shapes.Shape) -> None:
    """The same actions at the same commits as in the project's own workflow, and the token from the
    CI's store, in the environment of the one step that needs it."""
    if MACHINE not in shape["callers"]:
        return
    text = (project / "callers" / "github-actions.yml").read_text(encoding="utf-8")
    own = ROOT / "template" / ".github" / "workflows"
    used = re.findall(r"uses: .*", text)
    ours = (own / "ci.yml.jinja").read_text(encoding="utf-8")
    assert used and set(used) <= set(re.findall(r"uses: .*", ours))
    (job,) = yaml.safe_load(text)["jobs"].values()
    *before, call = job["steps"]
    assert call["run"] == "sh callers/curl.sh /"
    for name in ("CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET"):
        assert call["env"][name] == f"${{{{ secrets.{name} }}}}"
    assert "secrets." not in str(before) + str(job.get("env"))
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    jobs = yaml.safe_load((project / "callers" / "gitlab-ci.yml").read_text(encoding="utf-8"))
    ((name, job),) = jobs.items()
    assert name == "call-my-api" and job["script"] == ["sh callers/curl.sh /"]
    assert set(job["variables"]) == {"URL"}, "a variable written here would be no secret"
    urls = {call["env"]["URL"], job["variables"]["URL"]}
    assert len(urls) == 1 and urls.pop().startswith("https://")


def test_nothing_that_another_tool_makes(project: Path) -> None:
    """A requirements.txt stops pywrangler, a second wrangler file wins over the
    first, lock files conflict on the first update, which would also overwrite a .dev.vars. An
    update leaves pylock.toml alone, see test_ownership."""
    names = {path.name for _, path in all_files(project)}
    unwanted = {
        "requirements.txt",
        "wrangler.toml",
        "wrangler.json",
        "uv.lock",
        "package-lock.json",
        ".dev.vars",
        ".env",
    }
    assert not names & unwanted


def test_no_secrets(project: Path) -> None:
    """No key, no token, no unexplained long hexadecimal, in any file."""
    for name, text in texts(project).items():
        assert not re.search(r"-----BEGIN|cfast_[A-Za-z0-9]{20}|eyJ[\w-]{20,}\.", text), name
        if name in HASHES:
            continue
        known = {shapes.AUD, shapes.STAGING_AUD}
        assert set(re.findall(r"(?<!sha256:)\b[0-9a-f]{64}\b(?!  uv-)", text)) <= known, name
        assert not re.search(r"(?i)(api_token|client_secret)[\"']?\s*[:=]\s*[\"']?\w{20}", text), (
            name
        )
