//
// The project's Worker in real workerd, as `wrangler dev` would start it: with wrangler's own
// Miniflare, which also brings the stores. A new process each time, so a new isolate, and stores
// that are empty.
//
// Beside it run two small Workers, see gateway.mjs: they reach its entrypoints as other Workers do.

import childProcess from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";

const SERVICE = "core:user:worker"; // Miniflare's name for the Worker that is called "worker"
const GATEWAY = ["workerd/gateway.mjs", "workerd/python_error.mjs", "wire.mjs", "context.mjs"]; // of the folder above
const PROXY = 1; // HttpOptions.Style in workerd.capnp: the whole URL is in the request line

// ---------------------------------------------------------------- workerd's own flags

// What Miniflare has no options for. It takes `spawn` from the module each time.
let flags = []; // for the next start
let started; // what the next start tells: {pid, debugPort, lines, exit}

const realSpawn = childProcess.spawn;
childProcess.spawn = (command, args, options) => {
  if (args?.[0] !== "serve" || !started) return realSpawn(command, args, options);
  const process = realSpawn(command, [...args, "--debug-port=127.0.0.1:0", ...flags], options);
  const told = started;
  started = undefined;
  told.pid = process.pid;
  process.on("exit", (code, signal) => told.onExit(signal ?? `status ${code}`));
  for (const stream of [process.stdout, process.stderr]) {
    eachLine(stream, (line) => told.onLines(said(line)));
  }
  // Miniflare starts to read this pipe a little later, so that two readers need a copy.
  const copy = new PassThrough();
  eachLine(process.stdio[3], (line) => {
    const { socket, port } = JSON.parse(line);
    if (socket === "debug-port") told.debugPort = port;
  });
  process.stdio[3].pipe(copy);
  process.stdio[3] = copy;
  return process;
};

function eachLine(stream, use) {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) use(line);
  });
}

/** The lines that workerd logs: each a JSON object, but for what ends it; no addresses in itself. */
function said(line) {
  let text = line;
  try {
    text = String(JSON.parse(line).message);
  } catch {}
  return text.split("\n").filter((each) => !each.startsWith("stack: "));
}

// ---------------------------------------------------------------- what Miniflare is given

/** The Worker's files, the main module first, and its packages, each as wrangler would upload it. */
function modulesOf(main, files, packages) {
  const root = path.dirname(main);
  const module = (type, name, file) => ({ type, path: `/${name}`, contents: fs.readFileSync(file) });
  const first = path.basename(main);
  return [
    module(first.endsWith(".py") ? "PythonModule" : "ESModule", first, main),
    ...files
      .filter((name) => name !== first)
      .map((name) => module(name.endsWith(".py") ? "PythonModule" : "Data", name, path.join(root, name))),
    // The SDK's own JavaScript is imported; to all else only Python looks.
    ...Object.entries(packages)
      .filter(([name]) => !name.endsWith(".pyc"))
      .map(([name, file]) => module(/^workers\/.*\.m?js$/.test(name) ? "ESModule" : "Data", `python_modules/${name}`, file)),
  ];
}

const slug = (name) => name.toLowerCase().replaceAll("_", "-");

/** Miniflare's options for the stores; kinds and fields as in bindings.py. */
const STORES = {
  kv_namespaces: ({ name }) => ({ kvNamespaces: { [name]: name } }),
  d1_databases: ({ name }) => ({ d1Databases: { [name]: name } }),
  r2_buckets: ({ name }) => ({ r2Buckets: { [name]: `bucket-${slug(name)}` } }),
  queues: ({ name }) => ({ queueProducers: { [name]: { queueName: slug(name) } } }),
  ratelimits: ({ name, simple }) => ({ ratelimits: { [name]: { namespace_id: name, simple } } }),
  analytics_engine_datasets: ({ name }) => ({ analyticsEngineDatasets: { [name]: { dataset: name } } }),
  assets: ({ name, directory }) => ({ assets: { binding: name, directory, routerConfig: { has_user_worker: true } } }),
};

/** And for what `worker.load(env=…)` may hold. `stores` has what stands behind "$local". */
async function bindingsOf(env, stores, origin) {
  const found = { bindings: {}, serviceBindings: {}, durableObjects: {}, workflows: {} };
  for (const [name, value] of Object.entries(env)) {
    if (value?.$local) {
      const store = stores.find((each) => each.name === value.$local);
      for (const [kind, options] of Object.entries(STORES[store.kind]({ ...store, name }))) {
        found[kind] = { ...found[kind], ...options };
      }
    } else if (value?.$entrypoint) {
      const { $entrypoint: entrypoint, props } = value;
      const door = entrypoint === "Default" ? {} : { entrypoint };
      found.serviceBindings[name] = { name: "worker", ...door, ...(props && { props }) };
    } else if (value?.$fetcher) {
      found.serviceBindings[name] = external(await origin(value.$fetcher));
    } else if (value?.$object) {
      found.durableObjects[name] = { className: value.$object, useSQLite: value.sql };
    } else if (value?.$workflow) {
      found.workflows[name] = { className: value.$workflow, name: value.name };
    } else {
      found.bindings[name] = value; // text if it is one, else JSON
    }
  }
  return found;
}

/** Sends whatever it is asked for to a Router, see http.mjs. */
const external = (port) => ({ external: { address: `127.0.0.1:${port}`, http: { style: PROXY } } });

function gateway(name, compatibilityFlags, durableObjects, outbound) {
  const folder = fileURLToPath(new URL("..", import.meta.url));
  const modules = GATEWAY.map((file) => ({
    type: "ESModule",
    path: `/${file}`,
    contents: fs.readFileSync(path.join(folder, file), "utf8"),
  }));
  const plugin = { package: fileURLToPath(import.meta.url), name: DEBUG_PORT };
  return {
    name,
    modules,
    modulesRoot: "/",
    compatibilityDate: "2026-11-01",
    compatibilityFlags: ["nodejs_compat", ...compatibilityFlags],
    serviceBindings: { OUTBOUND: external(outbound), WORKER: "worker" },
    durableObjects: Object.fromEntries(
      Object.entries(durableObjects).map(([key, value]) => [key, { ...value, scriptName: "worker" }]),
    ),
    unsafeBindings: [{ name: "DEBUG_PORT", type: DEBUG_PORT, plugin, options: {} }],
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0, proxy: true }],
  };
}

const DEBUG_PORT = "debug-port";
let kVoid; // Miniflare's word for a field without a value

/** For Miniflare: this file is also a plugin, which makes the binding of that type. */
export const plugins = {
  [DEBUG_PORT]: {
    getBindings({ config }) {
      const wanted = Object.entries(config.env ?? {}).filter(([, { type }]) => type === `unsafe:${DEBUG_PORT}`);
      return wanted.map(([name]) => ({ name, workerdDebugPort: kVoid }));
    },
    getNodeBindings: () => ({}),
    getServices: () => undefined,
  },
};

// ---------------------------------------------------------------- the isolate

export class Isolate {
  lines = []; // what it and its Workers have printed
  ended = null; // how the process ended; null while it runs
  ports = {}; // of "worker", "gateway" and "trigger"
  #miniflare;
  #told;

  /**
   * Start one. Throws an Error with what workerd says if it does not start.
   *
   * main: the Worker's main file. files: what a deploy takes along, as paths from its folder.
   * packages: path under python_modules -> file. date, flags: of compatibility. env: as in
   * `worker.load`. stores: as in bindings.py. outbound: the port of the proxy for all that the
   * Worker fetches. origin: gives the port of one for a single origin. workerd: flags of the
   * program itself.
   */
  static async start(nodeModules, { main, files, packages, date, flags: compatibility, env, stores, outbound, origin, workerd }) {
    const require = createRequire(path.join(nodeModules, "wrangler", "package.json"));
    const { convertV4MiniflareOptions, Log, LogLevel, Miniflare, ...rest } = require("miniflare");
    kVoid = rest.kVoid;
    const isolate = new Isolate();
    const bindings = await bindingsOf(env, stores, origin);
    const worker = {
      name: "worker",
      modules: modulesOf(main, files, packages),
      modulesRoot: "/",
      compatibilityDate: date,
      compatibilityFlags: compatibility,
      ...bindings,
      outboundService: { name: "gateway", entrypoint: "Outbound" },
      tails: ["trigger"],
      access: { aud: "of no request" }, // makes it read Miniflare's header for ctx.access
      unsafeEphemeralDurableObjects: true,
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0, proxy: true }],
    };
    const objects = bindings.durableObjects;
    const workers = [
      worker,
      gateway("gateway", [], objects, outbound),
      gateway("trigger", ["service_binding_extra_handlers"], {}, outbound),
    ];
    const options = { host: "127.0.0.1", port: 0, cf: false, log: new Log(LogLevel.NONE), handleStructuredLogs() {} };
    flags = workerd;
    isolate.#told = started = {
      onLines: (lines) => isolate.lines.push(...lines),
      onExit: (how) => (isolate.ended = how),
    };
    isolate.#miniflare = new Miniflare(convertV4MiniflareOptions({ ...options, workers }));
    try {
      await isolate.#miniflare.ready;
      for (const { name } of workers) {
        isolate.ports[name] = Number((await isolate.#miniflare.unsafeGetDirectURL(name)).port);
      }
      await isolate.#migrate(require, env, stores);
    } catch (error) {
      await isolate.stop();
      if (error.name === "MigrationError") throw error;
      throw Object.assign(new Error(isolate.lines.join("\n").trim() || error.message), { cause: error });
    }
    return isolate;
  }

  /** What the gateways need to reach one of the Worker's entrypoints. */
  door(entrypoint, props) {
    const name = entrypoint === "Default" ? undefined : entrypoint;
    return { address: `127.0.0.1:${this.#told.debugPort}`, service: SERVICE, entrypoint: name, props: props ?? undefined };
  }

  async stop() {
    this.#told.onExit = () => {};
    this.#told.onLines = () => {};
    await this.#miniflare.dispose().catch(() => {}); // it never was ready
  }

  /** As `wrangler d1 migrations apply` does it. */
  async #migrate(require, env, stores) {
    for (const { kind, name, migrations } of stores) {
      if (kind !== "d1_databases" || !env[name]?.$local) continue;
      const { unstable_splitSqlQuery: split } = require("wrangler");
      const database = await this.#miniflare.getD1Database(name, "worker");
      for (const { file, sql } of migrations) {
        try {
          await database.batch(split(sql).map((statement) => database.prepare(statement)));
        } catch (error) {
          throw Object.assign(new Error(`${file}: ${error.message}`), { name: "MigrationError" });
        }
      }
    }
  }
}
