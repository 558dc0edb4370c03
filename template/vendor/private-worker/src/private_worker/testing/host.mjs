//
// Runs a Worker's real Python code in Pyodide, the way workerd does, for the tests.
// process.py starts this file once per test run. One JSON object per line on stdin is a
// request {"id", "op", ...}; one JSON object per line on stdout is its answer {"id", "ok"} or
// {"id", "error"}. Many requests can be in flight at once. Nothing else may write to stdout.
//
// Node is more lenient than workerd in places where a Worker really breaks. Each "guard" below
// makes Node refuse what workerd refuses, so that a test fails here and not after a deploy.
// Not modelled: CPU and memory limits, the clock that stands still between I/O, caches,
// HTMLRewriter, WebSocketPair, and decompression of fetched bodies.

import nodeCrypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pathToFileURL } from "node:url";
import v8 from "node:v8";

import { LocalBindings } from "./bindings.mjs";
import {
  contexts,
  current,
  currentId,
  die,
  enter,
  ExecutionContext,
  IMPORTING,
  isPython,
  knowPython,
  log,
  logs,
  realThen,
  renew,
  Stopped,
  storage,
  text,
} from "./context.mjs";
import { crossing, Objects } from "./objects.mjs";
import { startPyodide } from "./pyodide.mjs";
import { fromWire, NULL_BODY, toWire } from "./wire.mjs";

const METADATA = "/session/metadata"; // where workerd puts the Worker's own files
const PACKAGES = `${METADATA}/python_modules`; // and its dependencies
const BESIDE = "/session/beside"; // where the test's other Workers are, each in a folder of its own
const BODY_METHODS = ["arrayBuffer", "blob", "bytes", "clone", "formData", "json", "text"];

// ---------------------------------------------------------------- clock

const realNow = Date.now.bind(Date);
const realPerformanceNow = performance.now.bind(performance);
const RealDate = Date;
let offset = 0; // ms that `advance` added

// During import workerd's clock stands at 1970.
RealDate.now = () => (current()?.importing ? 0 : realNow() + offset);
performance.now = () => realPerformanceNow() + offset;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length ? args : [RealDate.now()], newTarget),
});

for (const level of ["debug", "error", "info", "log", "trace", "warn"]) console[level] = log;

// ---------------------------------------------------------------- guards

let pyodide;

function refuseAtImport(what) {
  if (current()?.importing) {
    throw new Error(
      `Disallowed operation called within global scope: ${what}. Asynchronous I/O, timeouts and ` +
        "random values are not allowed while the Worker is imported; do it within a handler.",
    );
  }
}

// Guard: an I/O object belongs to the event that made it.
const owners = new WeakMap();

function refuseForeign(object, what) {
  const owner = owners.get(object);
  const now = currentId();
  if (owner && now && owner !== now) {
    throw new Error(
      "Cannot perform I/O on behalf of a different request. I/O objects created in the context " +
        `of one request handler cannot be accessed from a different request's handler. (${what})`,
    );
  }
}

function own(object) {
  if (currentId()) owners.set(object, currentId());
  return object;
}

// Guard: waiting for something that only another event can finish. workerd answers the waiting
// event with 500 at once ("code had hung") and no try in the Worker can prevent it.
function hung(id, why) {
  const message =
    `The Worker's code had hung: it waited for ${why} of another request. workerd cancels such a ` +
    "request with 500; a shared asyncio.Lock then blocks every later request as well.";
  log(message);
  contexts.get(id)?.fail(Object.assign(new Error(message), { name: "HungError" }));
  return new Error(message);
}

const promiseOwners = new WeakMap(); // only promises that are still pending
v8.promiseHooks.createHook({
  init(promise) {
    if (currentId()) promiseOwners.set(promise, currentId());
  },
  settled(promise) {
    promiseOwners.delete(promise);
  },
});
Promise.prototype.then = function then(...callbacks) {
  const owner = promiseOwners.get(this);
  const now = currentId();
  if (owner && now && owner !== now) throw hung(now, "a pending promise");
  return realThen.apply(this, callbacks);
};

// Guard: WebCrypto takes JavaScript arrays and buffers, not Python lists and bytes.
for (const name of ["decrypt", "deriveBits", "digest", "encrypt", "generateKey", "importKey", "sign", "verify"]) {
  const real = SubtleCrypto.prototype[name];
  SubtleCrypto.prototype[name] = function (...args) {
    const wrong = args.findIndex(isPython);
    if (wrong >= 0) {
      throw new TypeError(
        `Failed to execute '${name}' on 'SubtleCrypto': parameter ${wrong + 1} is a Python object; ` +
          "use to_js(...), for a dict with dict_converter=Object.fromEntries.",
      );
    }
    return real.apply(this, args);
  };
}
SubtleCrypto.prototype.timingSafeEqual = (a, b) => {
  const bytes = (value) => (ArrayBuffer.isView(value) ? value : new Uint8Array(value));
  return nodeCrypto.timingSafeEqual(bytes(a), bytes(b));
};
const realRandomValues = crypto.getRandomValues.bind(crypto);
crypto.getRandomValues = (array) => {
  refuseAtImport("crypto.getRandomValues");
  return realRandomValues(array);
};

for (const name of ["setTimeout", "setInterval"]) {
  const real = globalThis[name];
  globalThis[name] = (callback, delay, ...args) => {
    refuseAtImport(name);
    const timer = real(callback, delay, ...args);
    if (current()?.ended) clearTimeout(timer);
    current()?.timers?.add(timer);
    return timer;
  };
}

// Request and Response: a construct trap instead of a subclass, because the SDK looks at
// `constructor.name`. Lengths of bodies that are not streams are kept for Content-Length.
const lengths = new WeakMap();

function bodyLength(body) {
  if (typeof body === "string") return Buffer.byteLength(body);
  if (body instanceof URLSearchParams) return Buffer.byteLength(String(body));
  return body?.byteLength ?? body?.size ?? lengths.get(body);
}

const RealRequest = Request;
const RealResponse = Response;
globalThis.Request = new Proxy(RealRequest, {
  construct(target, [input, init], newTarget) {
    if (init?.redirect === "error") {
      throw new TypeError('Invalid redirect value, must be one of "follow" or "manual".');
    }
    if (input instanceof RealRequest) refuseForeign(input, "Request");
    const streams = init?.body instanceof ReadableStream || (input instanceof RealRequest && input.body);
    const options = streams ? { ...init, duplex: "half" } : init;
    const request = Reflect.construct(target, options ? [input, options] : [input], newTarget);
    lengths.set(request, init?.body != null ? bodyLength(init.body) : lengths.get(input));
    return own(request);
  },
});
globalThis.Response = new Proxy(RealResponse, {
  construct(target, args, newTarget) {
    refuseAtImport("new Response");
    return own(Reflect.construct(target, args, newTarget));
  },
});
for (const name of ["error", "json", "redirect"]) {
  const real = RealResponse[name];
  RealResponse[name] = (...args) => (refuseAtImport(`Response.${name}`), own(real.apply(RealResponse, args)));
}
for (const Class of [RealRequest, RealResponse]) {
  for (const name of BODY_METHODS) {
    const real = Class.prototype[name];
    if (!real) continue; // older Node
    Class.prototype[name] = function (...args) {
      refuseForeign(this, `${Class.name}.${name}`);
      const result = real.apply(this, args);
      return name === "clone" ? own(result) : result;
    };
  }
  const { get } = Object.getOwnPropertyDescriptor(Class.prototype, "body");
  Object.defineProperty(Class.prototype, "body", {
    configurable: true,
    enumerable: true,
    get() {
      refuseForeign(this, `${Class.name}.body`);
      const stream = get.call(this);
      if (stream) lengths.set(stream, lengths.get(this)); // handed on, it keeps its length
      return stream;
    },
  });
}
Object.defineProperty(RealRequest.prototype, "cf", { value: undefined, writable: true });

/** Headers of something received are read-only in workerd. */
function freezeHeaders(object) {
  for (const name of ["append", "delete", "set"]) {
    object.headers[name] = () => {
      throw new TypeError("Can't modify immutable headers.");
    };
  }
  return object;
}

// ---------------------------------------------------------------- outbound HTTP

let outbound = []; // the requests that the Worker sent since `load`
let routes = {}; // origin -> origin of a local server

function routed(url) {
  const target = routes[url.origin];
  if (target === undefined) {
    const message = `no route for ${url.origin}: tests have no network, give worker.load(routes={...}) one`;
    log(message);
    throw new Error(message);
  }
  return target;
}

/** A real HTTP request. `target` maps the URL the Worker asked for to a server's origin. */
async function send(request, target) {
  refuseAtImport("fetch");
  let url = new URL(request.url);
  let { method, body } = request;
  for (let hops = 0; hops < 20; hops++) {
    outbound.push({ method, url: url.href, headers: [...request.headers] });
    const response = await exchange(url, target(url), method, request, body);
    const location = response.headers.get("location");
    const moved = [301, 302, 303, 307, 308].includes(response.status) && location !== null;
    if (!moved || request.redirect === "manual") {
      Object.defineProperty(response, "url", { value: url.href });
      Object.defineProperty(response, "redirected", { value: hops > 0 });
      return freezeHeaders(response);
    }
    await response.body?.cancel();
    url = new URL(location, url);
    if (response.status === 303 || (response.status < 303 && method === "POST")) method = "GET";
    if (method === "GET") body = null;
    else if (body) throw new TypeError("A request with a streamed body cannot follow a redirect.");
  }
  throw new TypeError("Too many redirects");
}

function exchange(url, target, method, request, body) {
  const context = current();
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(request.headers);
    // Belong to one connection, not to the message; Node writes its own.
    for (const name of ["connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"]) {
      delete headers[name];
    }
    if (body) {
      const length = lengths.get(request) ?? request.headers.get("content-length");
      if (length != null) headers["content-length"] = String(length);
    }
    const to = new URL(target);
    const message = (to.protocol === "https:" ? https : http).request({
      host: to.hostname.replace(/^\[|\]$/g, ""),
      port: to.port,
      path: url.pathname + url.search,
      method,
      headers: { ...headers, host: url.host },
      agent: false, // no kept connection can outlive the server of a test
    });
    const abort = () => {
      if (!context?.ended) reject(request.signal.reason); // an ended event never hears of it
      message.destroy();
    };
    if (request.signal.aborted) return abort();
    request.signal.addEventListener("abort", abort);
    context?.sockets?.add(message);
    message.on("error", () => {
      // workerd's words, whatever the reason. An ended event never hears of it.
      if (!context?.ended) reject(new Error("Network connection lost."));
    });
    // No Response of Node's can have a status below 200.
    const switched = (value) => resolve(Object.defineProperty(new Response(null), "status", { value }));
    message.on("upgrade", (incoming, socket) => {
      socket.destroy();
      switched(incoming.statusCode);
    });
    message.on("response", (incoming) => {
      if (incoming.statusCode < 200) return switched(incoming.statusCode);
      const received = new Headers();
      for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
        received.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
      }
      const empty = NULL_BODY.has(incoming.statusCode) || method === "HEAD";
      if (empty) incoming.resume();
      try {
        resolve(
          new Response(empty ? null : Readable.toWeb(incoming), {
            status: incoming.statusCode,
            statusText: incoming.statusMessage,
            headers: received,
          }),
        );
      } catch (error) {
        reject(error);
      }
    });
    if (body) {
      const source = Readable.fromWeb(body);
      source.on("error", (error) => message.destroy(error));
      source.pipe(message);
    } else {
      message.end();
    }
  });
}

globalThis.fetch = async (input, init) => send(new Request(input, init), routed);
globalThis.WebSocket = class WebSocket {
  constructor(url) {
    throw new Error(`no WebSocket to ${url}: tests have no network`);
  }
};

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
class Fetcher {}

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

// ---------------------------------------------------------------- HTTP from outside

const servers = new Set(); // what `listen` opened; `load` closes them

/** A client's body. When it hangs up, the Worker reads workerd's words. */
function received(incoming) {
  const body = new PassThrough();
  incoming.on("error", () => body.destroy(new Error("Network connection lost.")));
  return incoming.pipe(body);
}

/** One request to such a server. The event lasts until the answer is sent or the client is gone. */
async function receive(origin, target, incoming, outgoing) {
  const { "content-length": length, "transfer-encoding": coding } = incoming.headers;
  const body = Number(length) > 0 || coding ? Readable.toWeb(received(incoming)) : null;
  const headers = [];
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) headers.push(incoming.rawHeaders.slice(i, i + 2));
  try {
    await enter(null, async (context) => {
      outgoing.on("close", () => context.leave(new Stopped("cancelled", "the client went away")));
      const init = { method: incoming.method, headers, body, redirect: "manual", duplex: "half" };
      const request = freezeHeaders(new Request(origin + incoming.url, init));
      if (body && length) lengths.set(request, Number(length));
      const response = await dispatch(context, target, "fetch", [request]);
      outgoing.writeHead(response.status, [...response.headers].flat());
      if (response.body) await pipeline(Readable.fromWeb(response.body), outgoing);
      else outgoing.end();
    });
  } catch (error) {
    if (error?.pyodide_fatal_error) crash(error);
    if (error.kind !== "cancelled") log(`Uncaught ${text(error)}`);
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(500).end("Internal Server Error");
  }
}

// ---------------------------------------------------------------- files

const copied = new Map(); // path in Pyodide -> content, of the Worker's own files

let writes = 0;

function write(name, content) {
  pyodide.FS.mkdirTree(path.posix.dirname(name));
  pyodide.FS.writeFile(name, content);
  // Python tells by this time whether its cached bytecode is still right; seconds are too coarse.
  const time = ++writes * 1000;
  pyodide.FS.utime(name, time, time);
}

/** Brings Pyodide's copies up to date; `sources` maps a folder there to one on disk. */
function copySources(sources) {
  const wanted = new Set();
  for (const [home, root] of sources) {
    for (const entry of fs.readdirSync(root, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath, entry.name);
      if (!entry.isFile() || file.includes("__pycache__")) continue;
      const name = path.posix.join(home, ...path.relative(root, file).split(path.sep));
      const content = fs.readFileSync(file);
      wanted.add(name);
      if (!copied.get(name)?.equals(content)) write(name, content);
      copied.set(name, content);
    }
  }
  for (const name of copied.keys()) {
    if (!wanted.has(name) && copied.delete(name)) pyodide.FS.unlink(name);
  }
}

/** A Worker in TypeScript or JavaScript, bundled by wrangler's own esbuild as for a deploy. */
async function importScript(main) {
  const { buildSync } = createRequire(path.join(nodeModules, "wrangler", "package.json"))("esbuild");
  const options = { bundle: true, format: "esm", target: "es2024", write: false, logLevel: "silent" };
  const [bundle] = buildSync({ entryPoints: [main], ...options }).outputFiles;
  // The number makes it a new module each time, with fresh state.
  return importText(`${bundle.text}\n//${++writes}`);
}

function importText(source) {
  return import(`data:text/javascript;base64,${Buffer.from(source).toString("base64")}`);
}

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

const operations = {
  /** Starts Pyodide; `packages` maps a name under python_modules to a file on disk, `snapshot` is a file. */
  async start(message) {
    nodeModules = path.dirname(message.pyodide);
    local = new LocalBindings(nodeModules, message.bindings);
    const starting = local.renew(); // meanwhile
    const { loadPyodide } = await import(pathToFileURL(path.join(message.pyodide, "pyodide.mjs")));
    pyodide = await startPyodide(loadPyodide, { stdout: log, stderr: log }, message.snapshot);
    knowPython(pyodide);
    pyodide.registerJsModule("_cloudflare_compat_flags", {
      python_request_headers_preserve_commas: true,
      python_workflows_implicit_dependencies: true,
    });
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
    pyodide.registerJsModule("_pyodide_entrypoint_helper", {
      // The SDK has JavaScript of its own, which a deploy takes along.
      doAnImport: (name) => {
        const file = message.packages[name.replace(/^python_modules\//, "")];
        return file ? importText(fs.readFileSync(file, "utf8")) : import(name);
      },
      cloudflareWorkersModule: workersModule,
      cloudflareSocketsModule: {},
      workerEntrypoint: WorkerEntrypoint,
      patchWaitUntil() {}, // ExecutionContext above already copies coroutines
    });
    pyodide.registerJsModule("_kit_host", { current: currentId, die, hung, importing: () => Boolean(current()?.importing) });
    pyodide.FS.mkdirTree(PACKAGES);
    for (const [name, file] of Object.entries(message.packages)) {
      write(path.posix.join(PACKAGES, name), fs.readFileSync(file));
    }
    const globals = pyodide.toPy({ __name__: "kit_inside" });
    const source = fs.readFileSync(new URL("inside.py", import.meta.url), "utf8");
    pyodide.runPython(source, { globals, filename: "kit/inside.py" });
    inside = Object.fromEntries(
      ["answer", "entrypoint", "handle", "import_worker", "instance", "make", "prepare", "run"].map((name) => [name, globals.get(name)]),
    );
    inside.prepare(METADATA, PACKAGES);
    await starting;
    return { python: pyodide.runPython("import sys; sys.version.split()[0]"), jspi };
  },

  /** A new isolate: the Worker's own modules are imported again, vendored packages stay. */
  async load(message) {
    renew();
    outbound = [];
    offset = 0;
    routes = Object.fromEntries(Object.entries(message.routes).map(([from, to]) => [new URL(from).origin, to]));
    for (const server of servers) server.close();
    servers.clear();
    workers.clear();
    // The project's own comes last, so that its modules are the ones that stay importable.
    const loaded = [...message.beside, { name: "", env: message.env, main: message.main }];
    const { DatabaseSync } = await import("node:sqlite").catch(() => ({}));
    objects = new Objects(python, DatabaseSync);
    const stores = await local.renew();
    for (const { name, env } of loaded) workers.set(name, { env: bindings(env, stores) });
    const home = (name) => (name ? path.posix.join(BESIDE, name) : METADATA);
    const written = loaded.filter(({ main }) => main.endsWith(".py"));
    copySources(written.map(({ name, main }) => [home(name), path.dirname(main)]));
    for (const { name, main } of loaded) {
      await storage.run(IMPORTING, async () => {
        if (!main.endsWith(".py")) workers.get(name).module = await importScript(main);
        else await invoke(inside.import_worker, name, home(name), path.basename(main, ".py"));
      });
    }
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
        request = freezeHeaders(new Request(url, { method, headers, body: sent, redirect: "manual" }));
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
    const server = http.createServer((...pair) => receive(message.origin, message, ...pair));
    servers.add(server);
    return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
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
    offset += message.milliseconds;
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

/** Pyodide itself broke: this process is of no use any more, runtime.py starts another one. */
function crash(error) {
  process.stderr.write(`Pyodide broke: ${error}\n`);
  process.exit(70);
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
