//
// The project's local bindings, from wrangler's own getPlatformProxy: KV, D1, R2, queue producers,
// rate limits, Analytics Engine and static assets, in real workerd. Nothing is kept on disk, nothing
// is remote.
//
// Each test gets fresh ones. Starting workerd takes a second, so one start makes several sets of
// all stores, which differ in a number at the end of their names.

import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

import { storage } from "./context.mjs";
import { NULL_BODY, toWire } from "./wire.mjs";

const SETS = 16;

// The SDK tells bindings apart by the name of their class, and Pyodide looks at all that they have.
const CLASSES = {
  kv_namespaces: ["KvNamespace", ["get", "getWithMetadata", "put", "delete", "list"]],
  d1_databases: ["D1Database", ["prepare", "batch", "exec", "dump", "withSession"]],
  r2_buckets: [
    "R2Bucket",
    ["head", "get", "put", "delete", "list", "createMultipartUpload", "resumeMultipartUpload"],
  ],
  queues: ["WorkerQueue", ["send", "sendBatch"]],
  ratelimits: ["Ratelimit", ["limit"]],
  analytics_engine_datasets: ["AnalyticsEngineDataset", ["writeDataPoint"]],
};

/** What wrangler.jsonc says about one binding, for set number `n`. */
const CONFIGURED = {
  kv_namespaces: ({ name }, n) => ({ binding: `${name}_${n}`, id: `${name}-${n}` }),
  d1_databases: ({ name }, n) => ({ binding: `${name}_${n}`, database_name: `${name}-${n}`, database_id: `${name}-${n}` }),
  r2_buckets: ({ name }, n) => ({ binding: `${name}_${n}`, bucket_name: `bucket-${name.toLowerCase().replaceAll("_", "-")}-${n}` }),
  queues: ({ name }, n) => ({ binding: `${name}_${n}`, queue: `${name.toLowerCase().replaceAll("_", "-")}-${n}` }),
  ratelimits: ({ name, simple, at }, n) => ({ name: `${name}_${n}`, namespace_id: `${1 + at * SETS + n}`, simple }),
  analytics_engine_datasets: ({ name }, n) => ({ binding: `${name}_${n}` }),
};

export class LocalBindings {
  #wrangler;
  #wanted;
  #proxy;
  #set = SETS;
  #used = true; // whether the current set has been touched, so that the next test needs another
  /** What queue producers sent since `renew`: {binding, body} as JSON. */
  sent = [];

  /** wanted: [{kind, name, simple, migrations}], kinds as in CLASSES; migrations are SQL texts. */
  constructor(nodeModules, wanted) {
    this.#wrangler = path.join(nodeModules, "wrangler", "package.json");
    this.#wanted = wanted;
  }

  /** Fresh bindings by name. */
  async renew() {
    this.sent = [];
    if (!this.#wanted.length) return {};
    if (this.#used && ++this.#set >= SETS) await this.#start();
    if (this.#used) for (const each of this.#wanted) await this.#migrate(each);
    this.#used = false;
    return Object.fromEntries(this.#wanted.map((each) => [each.name, this.#wrapped(each)]));
  }

  async dispose() {
    await this.#proxy?.dispose();
  }

  async #start() {
    await this.dispose();
    const config = { name: "tests", compatibility_date: "2026-11-01", queues: { producers: [] } };
    for (const [at, each] of this.#wanted.entries()) {
      if (each.kind === "assets") {
        config.assets = { binding: each.name, directory: each.directory };
        continue;
      }
      const list = each.kind === "queues" ? config.queues.producers : (config[each.kind] ??= []);
      for (let n = 0; n < SETS; n++) list.push(CONFIGURED[each.kind]({ ...each, at }, n));
    }
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "private-worker-"));
    try {
      const configPath = path.join(folder, "wrangler.json");
      fs.writeFileSync(configPath, JSON.stringify(config));
      const wrangler = createRequire(this.#wrangler)("wrangler");
      const options = { configPath, envFiles: [], persist: false, remoteBindings: false };
      this.#proxy = await wrangler.getPlatformProxy(options);
      this.#set = 0;
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  }

  /** As `wrangler d1 migrations apply` does it. */
  async #migrate({ kind, name, migrations }) {
    if (kind !== "d1_databases") return;
    const { unstable_splitSqlQuery: split } = createRequire(this.#wrangler)("wrangler");
    const database = this.#proxy.env[`${name}_${this.#set}`];
    for (const { file, sql } of migrations) {
      try {
        await database.batch(split(sql).map((statement) => database.prepare(statement)));
      } catch (error) {
        throw Object.assign(new Error(`${file}: ${error.message}`), { name: "MigrationError" });
      }
    }
  }

  #wrapped({ kind, name }) {
    if (kind === "assets") return assetsBinding(this.#proxy.env[name]);
    const [className, methods] = CLASSES[kind];
    const real = this.#proxy.env[`${name}_${this.#set}`];
    const binding = new { [className]: class {} }[className]();
    for (const method of methods) {
      binding[method] = (...args) => {
        this.#used = true;
        // Outside the event: its end must not stop a timer of workerd's client.
        const call = () => storage.exit(() => real[method](...args));
        if (kind === "queues") return this.#record(name, method, args).then(call);
        // R2 takes a stream of a known length, which a request's body has in workerd.
        if (!(method === "put" && args[1] instanceof ReadableStream)) return call();
        return new Response(args[1]).arrayBuffer().then((bytes) => ((args[1] = bytes), call()));
      };
    }
    return binding;
  }

  async #record(binding, method, [given]) {
    const bodies = method === "sendBatch" ? Array.from(given, ({ body }) => body) : [given];
    for (const body of bodies) this.sent.push({ binding, body: await toWire(body) });
  }
}

/** Its requests and answers are of another library's classes. */
function assetsBinding(real) {
  return new (class Fetcher {
    async fetch(input, init) {
      const { url, method, headers } = new Request(input, init);
      const answer = await storage.exit(() => real.fetch(url, { method, headers: [...headers], redirect: "manual" }));
      const body = NULL_BODY.has(answer.status) ? null : await answer.arrayBuffer();
      return new Response(body, { status: answer.status, headers: [...answer.headers] });
    }
  })();
}
