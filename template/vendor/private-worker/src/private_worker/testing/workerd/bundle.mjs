//
// workerd's Python: one file that workerd fetches by itself and keeps in a folder. Here it is made
// to do so before the tests, with the smallest of Workers, so that what is wrong is known at once.

import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const TIMEOUT = 60_000; // ms, to fetch some 20 MB and start

/** Ends when workerd has taken the bundle in `folder`. Throws a BundleError. */
export async function haveBundle(nodeModules, folder, date, flags) {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "private-worker-"));
  try {
    const file = path.join(scratch, "config.capnp");
    fs.writeFileSync(file, config(date, flags));
    const reason = await start(workerd(nodeModules), file, folder);
    if (reason === null) return;
    const message = reason.fetching
      ? `--workerd needs workerd's Python bundle, which could not be fetched (${reason.text}): run it with ` +
        "network, or give a folder with --workerd-bundle DIR"
      : `workerd cannot use the Python bundle in ${folder} (${reason.text}): give another folder with ` +
        "--workerd-bundle DIR";
    throw Object.assign(new Error(message), { name: "BundleError" });
  } finally {
    fs.rmSync(scratch, { recursive: true });
  }
}

/** The program, which is in a package for each system. */
function workerd(nodeModules) {
  const wrangler = createRequire(path.join(nodeModules, "wrangler", "package.json"));
  return wrangler("workerd").default;
}

function config(date, flags) {
  const list = flags.map((flag) => JSON.stringify(flag)).join(", ");
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    compatibilityDate = ${JSON.stringify(date)},
    compatibilityFlags = [${list}],
    modules = [(name = "entry.py", pythonModule = "")],
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;
}

/**
 * null when it listens or ends for another reason than its bundle: such a Worker has no SDK and no
 * handlers. Otherwise {fetching, text}.
 */
function start(program, file, folder) {
  const args = ["serve", file, "--experimental", "--control-fd=3", `--pyodide-bundle-disk-cache-dir=${folder}`];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += text));
  return new Promise((resolve) => {
    const late = { fetching: true, text: `it takes more than ${TIMEOUT / 1000} s` };
    const timer = setTimeout(() => resolve(late), TIMEOUT);
    child.stdio[3].on("data", () => resolve(null)); // a socket that listens
    child.on("error", ({ message }) => resolve({ fetching: false, text: message }));
    child.on("close", () => (clearTimeout(timer), resolve(why(said))));
  }).finally(() => child.kill("SIGKILL"));
}

/** The line about the bundle, without what is for workerd's developers. */
function why(said) {
  const line = said.split("\n").find((each) => /Pyodide bundle|capnp\/serialize/.test(each));
  if (!line) return null;
  const parts = line.replace(/^\S+: (error: e = \S+: )?failed: /, "").split("; ");
  const fetching = parts[0] === "Request for Pyodide bundle failed";
  // What follows first are the address, a version or a checksum.
  const text = fetching || parts[0].startsWith("expected ") ? parts.at(-1) : parts[0];
  return { fetching, text: text.trim().replace(/\.$/, "") };
}
