//
// Runs the project's Worker in real workerd for `pytest --workerd`. process.py starts this file in
// place of ../host.mjs and speaks the same protocol: one JSON object per line on stdin is a request
// {"id", "op", ...}; one per line on stdout is its answer {"id", "ok"} or {"id", "error"}.
//
// Every `load` is a new workerd process. Nothing is left of it when this one ends.

import crypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

import { Stopped } from "../context.mjs";
import { haveBundle } from "./bundle.mjs";
import { answered, Door, request, Router } from "./http.mjs";
import { Isolate } from "./isolate.mjs";
import { typeIn } from "./python_error.mjs";

const ORIGIN = "https://worker.example.com";
const ACCESS = "MF-Access-Blob"; // Miniflare's header for what becomes ctx.access
const GATEWAY = "kit-gateway"; // see gateway.mjs
const FATAL = "Python worker fatal error"; // workerd's words when Python itself broke

let settings; // of `start`
const snapshots = fs.mkdtempSync(path.join(os.tmpdir(), "private-worker-"));
let isolate; // the Worker that is loaded
let outbound = []; // what it has sent since
let routes = {}; // origin -> origin of a local server
let objects = {}; // class of a Durable Object -> name of its binding
const running = new Map(); // id of the protocol -> request of a client
const servers = new Set(); // of this Worker; `load` closes them

// ---------------------------------------------------------------- loading

function routed(url) {
  if (Object.hasOwn(routes, url.origin)) return routes[url.origin];
  const message = `no route for ${url.origin}: tests have no network, give worker.load(routes={...}) one`;
  isolate.lines.push(message);
  return new Error(message);
}

const isPython = (main) => main.endsWith(".py");

const listening = (server) => (servers.add(server), server.listen());

/** The port of a proxy that sends everything to one origin. */
const toOrigin = (origin) => listening(new Router(() => origin, (sent) => outbound.push(sent)));

const reloaded = () => new Stopped("cancelled", "the Worker was reloaded");

function unload() {
  const old = isolate;
  isolate = undefined;
  for (const sent of running.values()) sent.destroy(reloaded());
  running.clear();
  for (const server of servers) server.close();
  servers.clear();
  return old?.stop();
}

/** A new isolate, with `flags` for workerd. */
async function started({ main, files, env }, flags) {
  await unload();
  outbound = [];
  objects = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value?.$object ? [[value.$object, name]] : [])),
  );
  const port = await listening(new Router(routed, (sent) => outbound.push(sent)));
  const { nodeModules, packages, date, flags: compatibility, stores, bundle } = settings;
  try {
    isolate = await Isolate.start(nodeModules, {
      main,
      files,
      packages,
      date,
      flags: compatibility,
      env,
      stores,
      outbound: port,
      origin: toOrigin,
      workerd: [`--pyodide-bundle-disk-cache-dir=${bundle}`, ...flags],
    });
  } catch (error) {
    throw error.name === "MigrationError" ? error : failure(error.message);
  }
}

/** What went wrong inside, of which workerd tells only its log. */
function failure(text) {
  const type = typeIn(text);
  return Object.assign(new Error(text), { name: text.includes("Traceback (") ? "PythonError" : "Error", type });
}

/**
 * The flags that start a Python Worker from a snapshot of its memory, as after a deploy. The first
 * time one is made, which is where a Worker fails that cannot be imported, or cannot be saved.
 */
async function snapshot(message) {
  const folder = path.join(snapshots, digest(message));
  const flags = ["--python-snapshot-dir", folder];
  if (!fs.existsSync(path.join(folder, "snapshot.bin"))) {
    fs.mkdirSync(folder, { recursive: true });
    await started(message, [...flags, "--python-save-snapshot"]);
    await fetched({ method: "GET", url: `${ORIGIN}/`, headers: [], entrypoint: "Default" }, null).catch(() => {});
    await mark().catch(() => {}); // it may be gone
    if (!fs.existsSync(path.join(folder, "snapshot.bin"))) throw failure(isolate.lines.join("\n"));
  }
  return [...flags, "--python-load-snapshot", "snapshot.bin"];
}

function digest({ main, files }) {
  const hash = crypto.createHash("sha256");
  for (const file of [path.basename(main), ...files]) {
    hash.update(`${file}\0`).update(fs.readFileSync(path.join(path.dirname(main), file))).update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}

// ---------------------------------------------------------------- requests

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Everything that was printed until now is in `isolate.lines` then, but for the lines that do it. */
async function mark() {
  const line = `mark ${crypto.randomUUID()}`;
  const marks = () => isolate.lines.filter((each) => each === line).length;
  await post("gateway", { op: "mark", line });
  while (marks() < 2 && isolate.ended === null) await pause(1);
  isolate.lines = isolate.lines.filter((each) => each !== line);
}

/** Sends one of the two small Workers a request; `body` is JSON. The answer's text. */
async function post(name, asked, body = null) {
  const sent = request(isolate.ports[name], "POST", ORIGIN, [[GATEWAY, ascii(asked)]]);
  const answer = answered(sent);
  sent.end(JSON.stringify(body));
  return (await answer).body.toString();
}

/** What it is told to do at the Worker, and what comes of it. */
async function gateway(name, asked, body) {
  const asking = { isolate, from: isolate.lines.length };
  const text = await post(name, asked, body).catch((error) => broken(error, asking));
  let result;
  try {
    result = JSON.parse(text);
  } catch {
    throw failure(text); // such as "Internal Server Error"
  }
  if (result.error) throw Object.assign(new Error(result.error.message), result.error);
  return result.ok;
}

const ascii = (value) => JSON.stringify(value).replace(/[^\0-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Why a request has no answer: one to `asking.isolate` whose log then had `asking.from` lines. */
async function broken(error, asking) {
  if (error instanceof Stopped) throw error;
  if (isolate !== asking.isolate) throw reloaded();
  await mark().catch(() => pause(100)); // until it is known how it ended
  const { ended, lines } = asking.isolate;
  if (ended !== null) throw new Stopped("died", `workerd has ended: ${ended}\n${lines.slice(-20).join("\n")}`);
  const fatal = lines.find((line) => line.startsWith(FATAL));
  if (fatal) throw new Stopped("died", fatal);
  // As when the Worker lets an error of a lost connection through.
  throw failure([...lines.slice(asking.from), error.message].join("\n"));
}

/** Where requests to an entrypoint go, and the headers that say so: the first one has a socket. */
function way({ entrypoint, props, access }) {
  const headers = access ? [[ACCESS, ascii({ app_aud: access.aud, ...(access.identity && { jwt_claims: access.identity }) })]] : [];
  if (entrypoint === "Default" && !props) return { port: isolate.ports.worker, headers };
  const asked = { op: "fetch", door: isolate.door(entrypoint, props) };
  return { port: isolate.ports.gateway, headers: [...headers, [GATEWAY, ascii(asked)]] };
}

async function fetched(message, body) {
  const asking = { isolate, from: isolate.lines.length };
  const { port, headers } = way(message);
  let sent;
  try {
    sent = request(port, message.method, message.url, [...message.headers, ...headers]);
  } catch (error) {
    throw new Stopped("usage", `no such HTTP request: ${error.message}`);
  }
  if (message.id !== undefined) running.set(message.id, sent);
  try {
    const answer = answered(sent);
    sent.end(body ?? undefined);
    const { status, headers: received, body: content } = await answer.catch((error) => broken(error, asking));
    const named = (name) => received.some(([key]) => key.toLowerCase() === name);
    if (status === 500 && content.toString() === "Internal Server Error" && !named("content-type")) {
      await mark(); // workerd tells a client no more than that
      throw failure(isolate.lines.slice(asking.from).join("\n"));
    }
    const kept = received.filter(([name]) => name.toLowerCase() !== "content-length");
    return { $kit: "response", status, headers: kept, body: content.toString("base64") };
  } finally {
    running.delete(message.id);
  }
}

// ---------------------------------------------------------------- operations

const operations = {
  /** As for Isolate; besides: main, and the folder for the bundle. */
  async start(message) {
    const { nodeModules, main, date, flags, bundle } = (settings = message);
    if (isPython(main)) await haveBundle(nodeModules, bundle, date, flags);
  },

  async load(message) {
    routes = Object.fromEntries(Object.entries(message.routes).map(([from, to]) => [new URL(from).origin, to]));
    await started(message, isPython(message.main) ? await snapshot(message) : []);
  },

  fetch: (message) => fetched(message, message.body === null ? null : Buffer.from(message.body, "base64")),

  /** A port on which the Worker answers whoever asks. */
  listen(message) {
    const { port, headers } = way(message);
    return listening(new Door((incoming) => ({ port, headers, url: message.origin + incoming.url })));
  },

  call({ entrypoint, props, method, args }) {
    return gateway("gateway", { op: "call", door: isolate.door(entrypoint, props) }, { method, args });
  },

  async scheduled({ cron }) {
    await outcome(gateway("trigger", { op: "scheduled" }, { cron }));
  },

  async queue({ queue, bodies }) {
    const result = await outcome(gateway("trigger", { op: "queue" }, { queue, bodies }));
    const retried = new Set((result.retryMessages ?? []).map(({ msgId }) => msgId));
    const acknowledged = new Set(result.explicitAcks ?? []);
    return bodies.map((_, at) => {
      if (acknowledged.has(`${at}`)) return "ack";
      if (retried.has(`${at}`)) return "retry";
      return result.retryBatch?.retry && !result.ackAll ? "retry" : "ack";
    });
  },

  object({ class: className, name, method, args }) {
    return gateway("gateway", { op: "object", binding: objects[className], name }, { method, args });
  },

  cancel({ target }) {
    running.get(target)?.destroy(new Stopped("cancelled", "the client went away"));
  },

  async logs() {
    await mark();
    return isolate.lines;
  },

  outbound: () => outbound,
};

/** An event has no answer but how it went; the reason comes to the log a moment later. */
async function outcome(event) {
  const from = isolate.lines.length;
  const result = await event;
  if (result.outcome === "ok") return result;
  const said = () => isolate.lines.slice(from).join("\n");
  for (let tries = 0; tries < 100 && !said().includes("Uncaught"); tries++) await pause(20);
  throw failure(said() || `the event's outcome is ${result.outcome}`);
}

const reply = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

async function handle(message) {
  try {
    if (!isolate && !["start", "load"].includes(message.op)) throw new Stopped("died", "no Worker is loaded");
    reply({ id: message.id, ok: (await operations[message.op](message)) ?? null });
  } catch (error) {
    const { kind = "worker", name = "Error", type = null } = error;
    reply({ id: message.id, error: { kind, name, type, message: error.message ?? String(error) } });
  }
}

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => handle(JSON.parse(line)))
  .on("close", () => {
    fs.rmSync(snapshots, { recursive: true });
    Promise.resolve(unload()).finally(() => process.exit(0));
  });
