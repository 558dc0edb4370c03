//
// Runs a Worker's real Python code in Pyodide, the way workerd does, for the tests.
// process.py starts this file once per test run. One JSON object per line on stdin is a
// request {"id", "op", ...}; one JSON object per line on stdout is its answer {"id", "ok"} or
// {"id", "error"}. Many requests can be in flight at once. Nothing else may write to stdout.
//
// What workerd refuses and Node does not is in guards.mjs.

import nodeCrypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

import { LocalBindings } from "./bindings.mjs";
import {
  contexts,
  crash,
  current,
  currentId,
  die,
  enter,
  ExecutionContext,
  IMPORTING,
  knowPython,
  log,
  logs,
  renew,
  Stopped,
  storage,
  text,
} from "./context.mjs";
import { copySources, importScript, importText, useFiles, write } from "./files.mjs";
import { advance, hung, resetClock } from "./guards.mjs";
import { listen, outbound, renewHttp, send } from "./http.mjs";
import { freezeHeaders, RealResponse, receivedRequest } from "./messages.mjs";
import { crossing, Objects } from "./objects.mjs";
import { startPyodide } from "./pyodide.mjs";
import { cleanGlobals, named, Snapshot } from "./snapshot.mjs";
import "./webcrypto.mjs";
import { fromWire, NULL_BODY, toWire } from "./wire.mjs";

const METADATA = "/session/metadata"; // where workerd puts the Worker's own files
const PACKAGES = `${METADATA}/python_modules`; // and its dependencies
const HOME = "/session";
const BESIDE = "/session/beside"; // where the test's other Workers are, each in a folder of its own

// ---------------------------------------------------------------- the Worker

let inside; // functions of inside.py
const workers = new Map(); // name -> {env, module}; "" is the project's own, `module` is JavaScript's
let local; // LocalBindings
let objects; // Objects of the project's own Worker
const jspi = typeof WebAssembly.Suspending === "function";

function invoke(callable, ...args) {
  // "promising" is what lets Python's run_sync wait; Node before 24 cannot.
  return jspi ? callable.callWithOptions({ promising: true }, ...args) : callable(...args);
}

/** What the runtime calls, with nothing converted, whoever it is that really calls. */
const HANDLERS = new Set(["scheduled", "queue"]);

/** One event on a new instance of an entrypoint class, as workerd does it. */
async function dispatch(context, { worker = "", entrypoint, props, access }, method, args) {
  if (!workers.has(worker)) throw new Stopped("usage", `no Worker ${worker} is loaded`);
  const { env, module } = workers.get(worker);
  const execution = new ExecutionContext(context);
  execution.props = props ?? {};
  if (access) {
    const identity = access.identity ?? undefined;
    execution.access = { aud: access.aud, getIdentity: async () => structuredClone(identity) };
  }
  context.execution = execution;
  context.env = env;
  if (module) {
    const handlers = module[entrypoint === "Default" ? "default" : entrypoint];
    if (typeof handlers?.[method] !== "function") throw new TypeError(`Method ${method} does not exist`);
    return await handlers[method](...args, env, execution);
  }
  const instance = await invoke(inside.entrypoint(worker, entrypoint), execution, env);
  try {
    if (typeof instance[method] !== "function") throw new TypeError(`Method ${method} does not exist`);
    if (HANDLERS.has(method)) return await invoke(inside.handle, instance, method, ...args, undefined, undefined);
    return await invoke(inside.answer, method === "fetch", instance, method, ...args);
  } finally {
    instance.destroy();
  }
}

async function answerFetch(context, target, request) {
  const response = await dispatch(context, target, "fetch", [request]);
  if (!(response instanceof RealResponse)) {
    throw new TypeError("Incorrect type for Promise: the Promise did not resolve to 'Response'.");
  }
  const wire = await toWire(response);
  // HTTP has no body here, whatever the Worker returned.
  return request.method === "HEAD" || NULL_BODY.has(response.status) ? { ...wire, body: "" } : wire;
}

/** A binding in `env`. Its constructor's name is how the SDK recognises it. */
class Fetcher {
  get [Symbol.toStringTag]() {
    return "Fetcher";
  }
}

/** Service binding to an entrypoint of the project's Worker: values are copied, as over real RPC. */
function selfBinding(entrypoint, props) {
  const call = async (method, ...args) => {
    const wires = await Promise.all(args.map(toWire));
    let wire;
    try {
      wire = await enter(null, async (context) => {
        const values = wires.map(fromWire);
        const target = { entrypoint, props };
        if (method === "fetch") return answerFetch(context, target, freezeHeaders(values[0]));
        return toWire(await dispatch(context, target, method, values));
      });
    } catch (error) {
      throw crossing(error);
    }
    return fromWire(wire);
  };
  return new Proxy(new Fetcher(), {
    get(target, name) {
      if (name === "fetch") return (input, init) => call("fetch", new Request(input, init));
      if (typeof name !== "string" || name === "then" || name in target) return target[name];
      return (...args) => call(name, ...args);
    },
  });
}

/** Binding to a private origin, such as a VPC service: whatever the host, it goes there. */
function remoteBinding(origin) {
  const binding = new Fetcher();
  binding.fetch = async (input, init) => send(new Request(input, init), () => origin);
  return binding;
}

/** What the Worker gets for its `env`. `stores` are the local bindings of this test. */
function bindings(env, stores) {
  const binding = (value) => {
    if (value?.$entrypoint) return selfBinding(value.$entrypoint, value.props);
    if (value?.$fetcher) return remoteBinding(value.$fetcher);
    if (value?.$local) return stores[value.$local];
    if (value?.$object) return objects.namespace(value.$object, value.sql);
    if (value?.$workflow) return objects.workflow(value.$workflow, value.name);
    if (value?.$fake) return inside.make(value.$fake, value.source);
    return value;
  };
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, binding(value)]));
}

/** How `objects` runs Python. */
const python = {
  async make(className, state) {
    const { env } = workers.get("");
    Object.assign(current(), { env, execution: state });
    return invoke(inside.instance, className, state, env, state instanceof ExecutionContext);
  },
  call(instance, method, args) {
    if (typeof instance[method] !== "function") throw new TypeError(`Method ${method} does not exist`);
    return invoke(inside.answer, method === "fetch", instance, method, ...args);
  },
  event: (instance, method, args) => invoke(inside.handle, instance, method, ...args),
};

// ---------------------------------------------------------------- operations

/** What a `scheduled` handler is given. Its tag says that it is the runtime's own, as in workerd. */
class ScheduledController {
  scheduledTime = Date.now();
  constructor(cron) {
    this.cron = cron;
  }
  get [Symbol.toStringTag]() {
    return "ScheduledController";
  }
  noRetry() {}
}

/** What a `queue` handler is given. https://developers.cloudflare.com/queues/configuration/javascript-apis/ */
class QueueController {
  constructor(queue, bodies) {
    this.queue = queue;
    this.messages = bodies.map((body) => new Message(body));
  }
  get [Symbol.toStringTag]() {
    return "QueueController";
  }
  ackAll() {
    for (const message of this.messages) message.ack();
  }
  retryAll() {
    for (const message of this.messages) message.retry();
  }
}

class Message {
  timestamp = new Date();
  attempts = 1;
  outcome = "ack"; // unless the handler says otherwise; the first word counts
  #decided = false;
  id = nodeCrypto.randomBytes(16).toString("hex");
  constructor(body) {
    this.body = body;
  }
  ack() {
    this.#decided = true;
  }
  retry() {
    if (!this.#decided) this.outcome = "retry";
    this.#decided = true;
  }
}

let nodeModules;
let pyodide;
let snapshot;

async function importPython(name, folder, module) {
  const where = await invoke(inside.import_worker, name, folder, module);
  if (where === undefined) return;
  throw new Error(
    `Can't serialize top-level variable ${where}, a JavaScript ${snapshot.kind()}: a deploy keeps nothing of that kind that is made while the ` +
      "Worker is imported. Make it within a handler.",
  );
}

const operations = {
  /** Starts Pyodide; `packages` maps a name under python_modules to a file on disk, `snapshot` is a file. */
  async start(message) {
    nodeModules = path.dirname(message.pyodide);
    local = new LocalBindings(nodeModules, message.bindings);
    const starting = local.renew(); // meanwhile
    const { loadPyodide } = await import(pathToFileURL(path.join(message.pyodide, "pyodide.mjs")));
    // Its input is at its end: this process's own is the protocol.
    const streams = { stdin: () => null, stdout: log, stderr: log };
    const options = { ...streams, jsglobals: named(globalThis), env: { HOME } };
    pyodide = await startPyodide(loadPyodide, options, message.snapshot);
    knowPython(pyodide);
    useFiles(pyodide);
    const flags = {
      python_request_headers_preserve_commas: true,
      python_workflows_implicit_dependencies: true,
    };
    class DurableObject {}
    class WorkerEntrypoint {}
    class WorkflowEntrypoint {}
    const workersModule = {
      DurableObject,
      WorkerEntrypoint,
      WorkflowEntrypoint,
      waitUntil: (promise) => current().execution.waitUntil(promise),
      get env() {
        return current()?.env ?? workers.get("")?.env;
      },
    };
    const helper = {
      // The SDK has JavaScript of its own, which a deploy takes along.
      doAnImport: (name) => {
        const file = message.packages[name.replace(/^python_modules\//, "")];
        return (file ? importText(fs.readFileSync(file, "utf8")) : import(name)).then(named);
      },
      cloudflareWorkersModule: named(workersModule),
      cloudflareSocketsModule: named({}),
      workerEntrypoint: WorkerEntrypoint,
      patchWaitUntil() {}, // ExecutionContext already copies coroutines
    };
    snapshot = new Snapshot(pyodide);
    const forPython = {
      current: currentId,
      die,
      hung,
      importing: () => Boolean(current()?.importing),
      beforeImport: () => snapshot.begin(),
      foundUnnamed: () => snapshot.find(),
      isUnnamed: (value) => snapshot.isUnnamed(value),
      afterImport: () => snapshot.end(),
    };
    snapshot.known = new Set([flags, helper, forPython, ...Object.values(forPython)]);
    pyodide.registerJsModule("_cloudflare_compat_flags", flags);
    pyodide.registerJsModule("_pyodide_entrypoint_helper", helper);
    pyodide.registerJsModule("_kit_host", forPython);
    const site = pyodide.runPython("import site; site.getsitepackages()[0]");
    for (const name of fs.readdirSync(new URL("_cloudflare/", import.meta.url))) {
      if (name.endsWith(".py")) write(`${site}/_cloudflare/${name}`, fs.readFileSync(new URL(`_cloudflare/${name}`, import.meta.url)));
    }
    pyodide.FS.mkdirTree(PACKAGES);
    for (const [name, file] of Object.entries(message.packages)) {
      write(path.posix.join(PACKAGES, name), fs.readFileSync(file));
    }
    const globals = pyodide.toPy({ __name__: "kit_inside" });
    const source = fs.readFileSync(new URL("inside.py", import.meta.url), "utf8");
    pyodide.runPython(source, { globals, filename: "kit/inside.py" });
    const names = "answer entrypoint handle import_worker imported instance make prepare renew run";
    inside = Object.fromEntries(names.split(" ").map((name) => [name, globals.get(name)]));
    inside.prepare(METADATA, PACKAGES);
    await starting;
    return { python: pyodide.runPython("import sys; sys.version.split()[0]"), jspi };
  },

  /** A new isolate: the Worker's own modules are imported again, vendored packages stay. */
  async load(message) {
    renew();
    resetClock();
    renewHttp(message.routes);
    workers.clear();
    // The project's own comes last, so that its modules are the ones that stay importable.
    const loaded = [...message.beside, { name: "", env: message.env, main: message.main }];
    const { DatabaseSync } = await import("node:sqlite").catch(() => ({}));
    objects = new Objects(python, DatabaseSync);
    const stores = await local.renew();
    for (const { name, env } of loaded) workers.set(name, { env: bindings(env, stores) });
    const home = (name) => (name ? path.posix.join(BESIDE, name) : METADATA);
    const written = loaded.filter(({ main }) => main.endsWith(".py"));
    copySources(
      written.map(({ name, main }) => ({
        home: home(name),
        root: path.dirname(main),
        files: name ? null : message.files,
      })),
    );
    cleanGlobals();
    const leftOut = Object.entries(message.left_out).map(([file, note]) => [`${METADATA}/${file}`, note]);
    inside.renew(pyodide.toPy(Object.fromEntries(leftOut)));
    for (const { name, main } of loaded) {
      await storage.run(IMPORTING, async () => {
        if (!main.endsWith(".py")) workers.get(name).module = await importScript(nodeModules, main);
        else await importPython(name, home(name), path.basename(main, ".py"));
      });
    }
    inside.imported();
    return null;
  },

  fetch(message) {
    const { method, url, headers } = message;
    const body = message.body === null ? null : Buffer.from(message.body, "base64");
    return enter(message.id, (context) => {
      let request;
      try {
        // workerd lets a client send a body with GET, although no new Request may have one there.
        const reads = method === "GET" || method === "HEAD";
        const sent = reads ? null : body;
        request = receivedRequest(url, { method, headers, body: sent, redirect: "manual" });
        if (!sent && (body || request.headers.has("Content-Length"))) {
          Object.defineProperty(request, "body", { value: new Response(body ?? "").body });
        }
      } catch (error) {
        throw new Stopped("usage", `no such HTTP request: ${error.message}`);
      }
      return answerFetch(context, message, request);
    });
  },

  /** A port on which the Worker answers real HTTP. */
  listen(message) {
    return listen(message.origin, (context, request) => dispatch(context, message, "fetch", [request]));
  },

  call(message) {
    return enter(message.id, async (context) =>
      toWire(await dispatch(context, message, message.method, message.args.map(fromWire))),
    );
  },

  /** As a Cron Trigger starts it. */
  scheduled(message) {
    const target = { worker: message.worker, entrypoint: "Default" };
    return enter(message.id, async (context) => {
      await dispatch(context, target, "scheduled", [new ScheduledController(message.cron)]);
    });
  },

  /** A batch of messages from a queue; what becomes of each. */
  queue(message) {
    const target = { worker: message.worker, entrypoint: "Default" };
    return enter(message.id, async (context) => {
      const batch = new QueueController(message.queue, message.bodies.map(fromWire));
      await dispatch(context, target, "queue", [batch]);
      return batch.messages.map(({ outcome }) => outcome);
    });
  },

  /** A function of the test's own, in the Worker's Python and with its `env`. */
  run(message) {
    return enter(message.id, async (context) => {
      context.env = workers.get("").env;
      context.execution = new ExecutionContext(context);
      return toWire(await invoke(inside.run, message.name, message.source, ...message.args.map(fromWire)));
    });
  },

  /** A method of a Durable Object, or the alarm that it has set. */
  async object({ class: className, sql, name, method, args }) {
    const object = objects.idFromName(name);
    if (method === "alarm") return objects.alarm(className, sql, object);
    const given = method === "fetch" ? [new Request(args[0])] : args.map(fromWire);
    return toWire(await objects.call(className, sql, object, method, given));
  },

  /** Starts an instance of a Workflow, or sends it an event, and waits until it stands still. */
  async workflow({ class: className, name, instance, params, event }) {
    const started = () => objects.start(className, name, { params: fromWire(params) });
    const run = instance ? objects.run(name, instance) : await started();
    if (event) await run.handle.sendEvent(fromWire(event));
    await run.settled();
    return { id: run.id, steps: run.steps, status: run.status, ...(await toWire(run.result)) };
  },

  sent: () => local.sent,

  /** The client goes away: workerd stops the event where it is, unless waitUntil holds it. */
  cancel(message) {
    for (const context of contexts.values()) {
      if (context.key === message.target) context.leave(new Stopped("cancelled", "the client went away"));
    }
    return null;
  },

  advance(message) {
    advance(message.milliseconds);
    return null;
  },

  logs: () => logs,
  outbound: () => outbound,
};

const writeOut = process.stdout.write.bind(process.stdout);
const reply = (message) => writeOut(JSON.stringify(message) + "\n");
process.stdout.write = (chunk) => (log(String(chunk).trimEnd()), true); // console.table and others

async function handle(message) {
  try {
    reply({ id: message.id, ok: (await operations[message.op](message)) ?? null });
  } catch (error) {
    if (error?.pyodide_fatal_error) crash(error);
    const kind = error.kind ?? "worker";
    if (kind === "worker") log(`Uncaught ${text(error)}`);
    const { name = "Error", type = null } = error;
    reply({ id: message.id, error: { kind, name, type, message: error.message ?? String(error) } });
  }
}

// Without these an exception in a timer would end Node and print its whole source.
for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error) => {
    if (error?.pyodide_fatal_error) crash(error);
    log(`Uncaught ${text(error)}`);
  });
}

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => handle(JSON.parse(line)))
  .on("close", () => local?.dispose().finally(() => process.exit(0)) ?? process.exit(0));
