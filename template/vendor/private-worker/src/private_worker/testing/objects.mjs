//
// Stands in for what runs a Worker's Durable Objects and Workflows: the Worker's Python runs in
// Node, where neither exists. An object's SQL is real SQLite (Node's), in memory.
//
// As documented: one instance per id, which lives until `load`; calls and results are copies; a
// step's result is kept, a step that fails is repeated, at most `retries.limit` times.
// Not modelled: WebSockets of an object, alarms by the clock (a test runs them), delays between
// retries and `sleep` (they pass at once). An object takes one call at a time, where Cloudflare's
// takes another while one waits for something else than storage.

import nodeCrypto from "node:crypto";
import v8 from "node:v8";

import { ExecutionContext, LastingContext, log, settled, Stopped, text } from "./context.mjs";
import { fromWire, toWire } from "./wire.mjs";

const copy = async (value) => fromWire(await toWire(value));

/** An exception as it reaches a caller: of a Python one the name, the type and the traceback. */
export function crossing({ message, name, type }) {
  return Object.assign(new Error(message), { name }, type ? { type } : {});
}

// ---------------------------------------------------------------- storage of a Durable Object

/** https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/ */
class DurableObjectStorage {
  #values = new Map(); // name -> serialized value
  #alarm = null;
  #sql;
  constructor(sql) {
    this.#sql = sql;
  }
  get sql() {
    if (this.#sql) return this.#sql;
    throw new Error("SQL is not enabled for this Durable Object class: name it in new_sqlite_classes");
  }
  async get(key) {
    if (!Array.isArray(key)) return this.#values.has(key) ? v8.deserialize(this.#values.get(key)) : undefined;
    const found = key.filter((each) => this.#values.has(each)).sort();
    return new Map(found.map((each) => [each, v8.deserialize(this.#values.get(each))]));
  }
  async put(key, value) {
    const pairs = typeof key === "string" ? [[key, value]] : Object.entries(key);
    const serialized = pairs.map(([name, each]) => [name, v8.serialize(structuredClone(each))]);
    for (const [name, each] of serialized) this.#values.set(name, each);
  }
  async delete(key) {
    if (!Array.isArray(key)) return this.#values.delete(key);
    return key.filter((each) => this.#values.delete(each)).length;
  }
  async deleteAll() {
    this.#values.clear();
    this.#alarm = null;
    this.#sql?.clear();
  }
  async list({ prefix = "", start = "", startAfter, end, limit = Infinity, reverse = false } = {}) {
    const names = [...this.#values.keys()].filter(
      (name) =>
        name.startsWith(prefix) &&
        name >= start &&
        (startAfter === undefined || name > startAfter) &&
        (end === undefined || name < end),
    );
    names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    if (reverse) names.reverse();
    return new Map(names.slice(0, limit).map((name) => [name, v8.deserialize(this.#values.get(name))]));
  }
  async transaction(work) {
    const before = new Map(this.#values);
    this.#sql?.begin();
    try {
      const result = await work(this);
      this.#sql?.end(true);
      return result;
    } catch (error) {
      this.#values = before;
      this.#sql?.end(false);
      throw error;
    }
  }
  async sync() {}
  async setAlarm(when) {
    this.#alarm = Number(when);
  }
  async getAlarm() {
    return this.#alarm;
  }
  async deleteAlarm() {
    this.#alarm = null;
  }
}

class SqlStorage {
  #database;
  constructor(DatabaseSync) {
    this.#database = new DatabaseSync(":memory:");
  }
  exec(query, ...bindings) {
    // Only the last statement takes the bindings and gives rows. SQLite says where each ends.
    let statement = this.#prepare(query);
    let rest = query;
    for (;;) {
      const text = statement.sourceSQL;
      rest = rest.slice(rest.indexOf(text) + text.length);
      if (!rest.replace(/--.*|\/\*[^]*?\*\//g, "").trim()) break;
      statement.run();
      statement = this.#prepare(rest);
    }
    const given = bindings.map((each) => (each instanceof ArrayBuffer ? new Uint8Array(each) : each));
    const rows = statement.all(...given).map((row) => {
      const plain = (value) => (value instanceof Uint8Array ? value.slice().buffer : value);
      return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
    });
    return new SqlStorageCursor(rows, statement.columns().map(({ name }) => name));
  }
  #prepare(query) {
    const refused = /^(?:\s|--.*\n)*(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|DETACH|VACUUM)\b/i.exec(query);
    if (refused) throw new Error(`not authorized: ${refused[1]}; for transactions use storage.transaction()`);
    return this.#database.prepare(query);
  }
  begin() {
    this.#database.exec("BEGIN");
  }
  end(kept) {
    this.#database.exec(kept ? "COMMIT" : "ROLLBACK");
  }
  clear() {
    const names = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'";
    for (const { type, name } of this.#database.prepare(names).all()) {
      this.#database.exec(`DROP ${type} IF EXISTS "${name.replaceAll('"', '""')}"`);
    }
  }
}

class SqlStorageCursor {
  #rows;
  #at = 0;
  constructor(rows, columnNames) {
    this.#rows = rows;
    this.columnNames = columnNames;
  }
  next() {
    const done = this.#at >= this.#rows.length;
    return done ? { done } : { done, value: this.#rows[this.#at++] };
  }
  toArray() {
    const rest = this.#rows.slice(this.#at);
    this.#at = this.#rows.length;
    return rest;
  }
  one() {
    const rest = this.toArray();
    if (rest.length === 1) return rest[0];
    throw new Error(`Expected exactly one result from SQL query, but got ${rest.length || "no results"}`);
  }
  raw() {
    return this.toArray().map((row) => Object.values(row))[Symbol.iterator]();
  }
  [Symbol.iterator]() {
    return this;
  }
}

// ---------------------------------------------------------------- Durable Objects

class DurableObjectId {
  #hex;
  constructor(hex, name) {
    this.#hex = hex;
    if (name !== undefined) this.name = name;
  }
  toString() {
    return this.#hex;
  }
  equals(other) {
    return String(other) === this.#hex;
  }
}

class DurableObjectState {
  props = {};
  constructor(id, storage) {
    this.id = id;
    this.storage = storage;
  }
  waitUntil(promise) {
    settled(promise);
  }
  /** What the object's next call waits for. */
  blocked = Promise.resolve();
  blockConcurrencyWhile(work) {
    this.blocked = Promise.resolve(work());
    return this.blocked;
  }
  abort(reason) {
    throw new Error(reason ?? "Durable Object was aborted");
  }
  acceptWebSocket() {
    throw new Error("private_worker.testing has no WebSockets");
  }
  getWebSockets() {
    return [];
  }
}

// ---------------------------------------------------------------- Workflows

/** One instance while it runs, as tests see it. */
class WorkflowRun {
  steps = []; // names in order, one for each attempt
  status = "running";
  result = {}; // its output or error
  #events = []; // that came and are not waited for yet
  #waiting = null;
  #changed = new Set(); // who waits for the next change of the status
  constructor(id) {
    this.id = id;
    this.handle = new WorkflowInstance(this);
  }
  become(status, result = {}) {
    if (this.status === "terminated") return;
    this.status = status;
    this.result = result;
    for (const resolve of this.#changed) resolve();
    this.#changed.clear();
  }
  /** Until it is over, or waits for an event that has not come. */
  async settled() {
    while (this.status === "running") await new Promise((resolve) => this.#changed.add(resolve));
  }
  event(type) {
    const at = this.#events.findIndex((each) => each.type === type);
    if (at >= 0) return this.#events.splice(at, 1)[0];
    this.become("waiting");
    return new Promise((resolve) => (this.#waiting = { type, resolve }));
  }
  receive(event) {
    if (this.status === "terminated") throw new Error("instance.terminated");
    if (this.#waiting?.type !== event.type) return void this.#events.push(event);
    const { resolve } = this.#waiting;
    this.#waiting = null;
    this.become("running");
    resolve(event);
  }
  /** The `step` of the Worker's `run`. The SDK calls its methods on a wrapper of its own. */
  step() {
    const counts = new Map();
    const note = async (name) => void this.steps.push(name);
    return {
      do: async (name, ...rest) => {
        const [config, work] = rest.length > 1 ? rest : [{}, rest[0]];
        const limit = config?.retries?.limit ?? 5;
        const count = (counts.get(name) ?? 0) + 1;
        counts.set(name, count);
        for (let attempt = 1; ; attempt++) {
          await note(name);
          try {
            return await copy(await work({ step: { name, count }, attempt, config: config ?? {} }));
          } catch (error) {
            const final = [error.name, error.message].some((said) => said.startsWith("NonRetryableError"));
            if (final || attempt > limit) throw error;
          }
        }
      },
      sleep: note,
      sleepUntil: note,
      waitForEvent: (name, { type }) => note(name).then(() => this.event(type)),
    };
  }
}

/** What the Worker sees of it. */
class WorkflowInstance {
  #run;
  constructor(run) {
    this.#run = run;
    this.id = run.id;
  }
  async status() {
    return { status: this.#run.status, ...this.#run.result };
  }
  async sendEvent({ type, payload }) {
    this.#run.receive({ type, payload: await copy(payload), timestamp: new Date() });
  }
  async terminate() {
    this.#run.become("terminated");
  }
}

// ---------------------------------------------------------------- both, for one Worker

/**
 * The objects and instances since `load`.
 *
 * python: {make(name, ctx), call(instance, method, args), event(instance, method, args)}; the first
 * makes an instance of a class of the Worker, the second answers as over RPC, the third as for the
 * runtime.
 */
export class Objects {
  #python;
  #sqlite; // Node's DatabaseSync
  #objects = new Map();
  #runs = new Map(); // of Workflows
  constructor(python, sqlite) {
    this.#python = python;
    this.#sqlite = sqlite;
  }

  idFromName(name) {
    return new DurableObjectId(nodeCrypto.hash("sha256", name), name);
  }

  /** The binding to a class of Durable Objects. `sql`: whether it is in new_sqlite_classes. */
  namespace(className, sql) {
    const get = (id) => this.#stub(className, sql, id);
    const idFromName = (name) => this.idFromName(String(name));
    return new (class DurableObjectNamespace {
      idFromName = idFromName;
      newUniqueId = () => new DurableObjectId(nodeCrypto.randomBytes(32).toString("hex"));
      idFromString(hex) {
        if (/^[0-9a-f]{64}$/.test(hex)) return new DurableObjectId(hex);
        throw new TypeError("Invalid Durable Object ID: must be 64 hex digits");
      }
      get = get;
      getByName = (name) => get(this.idFromName(name));
      jurisdiction = () => this;
    })();
  }

  /** Calls a method of an object, as a copy both ways. */
  async call(className, sql, id, method, args) {
    const object = this.#object(className, sql, id);
    const wires = await Promise.all(args.map(toWire));
    const work = async () => {
      const instance = await this.#instance(object, className);
      return toWire(await this.#python.call(instance, method, wires.map(fromWire)));
    };
    try {
      return fromWire(await this.#inTurn(object, work));
    } catch (error) {
      throw error instanceof Stopped ? error : crossing(error);
    }
  }

  /** Runs the alarm that an object has set. */
  async alarm(className, sql, id) {
    const object = this.#object(className, sql, id);
    const { storage } = object.state;
    if ((await storage.getAlarm()) === null) throw new Stopped("usage", "the object has set no alarm");
    await storage.deleteAlarm();
    await this.#inTurn(object, async () => {
      const instance = await this.#instance(object, className);
      await this.#python.event(instance, "alarm", [{ isRetry: false, retryCount: 0 }]);
    });
  }

  /** The binding to a Workflow. */
  workflow(className, name) {
    const create = async (options) => (await this.start(className, name, options)).handle;
    const get = async (id) => this.run(name, id).handle;
    return new (class WorkflowImpl {
      create = create;
      createBatch = (batch) => Promise.all(Array.from(batch, create));
      get = get;
    })();
  }

  run(name, id) {
    const found = this.#runs.get(`${name} ${id}`);
    if (found) return found;
    throw new Error("instance.not_found");
  }

  async start(className, name, { id = nodeCrypto.randomUUID(), params } = {}) {
    const key = `${name} ${id}`;
    if (this.#runs.has(key)) throw new Error("instance.already_exists");
    const run = new WorkflowRun(id);
    this.#runs.set(key, run);
    const event = { payload: await copy(params), timestamp: new Date(), instanceId: id, workflowName: name };
    const context = new LastingContext();
    const work = async () => {
      const made = await this.#python.make(className, new ExecutionContext(context));
      return toWire(await this.#python.event(made, "run", [event, run.step()]));
    };
    context.run(work).then(
      (wire) => run.become("complete", { output: fromWire(wire) }),
      (error) => {
        log(`Uncaught ${text(error)}`);
        const [last] = String(error.message).trim().split("\n").slice(-1);
        run.become("errored", { error: { name: error.type ?? error.name, message: last } });
      },
    );
    return run;
  }

  #stub(className, sql, id) {
    const call = (method, args) => this.call(className, sql, id, method, args);
    return new Proxy(new (class DurableObject {})(), {
      get(target, name) {
        if (name === "id") return id;
        if (name === "name") return id.name;
        if (name === "alarm") throw new TypeError("'alarm' is a reserved method and cannot be called over RPC");
        if (name === "fetch") return (input, init) => call("fetch", [new Request(input, init)]);
        if (typeof name !== "string" || name === "then" || name in target) return target[name];
        return (...args) => call(name, args);
      },
    });
  }

  #object(className, sql, id) {
    const key = `${className} ${id}`;
    if (!this.#objects.has(key)) {
      const storage = new DurableObjectStorage(sql ? new SqlStorage(this.#sqlite) : undefined);
      const state = new DurableObjectState(id, storage);
      this.#objects.set(key, { state, context: new LastingContext(), last: Promise.resolve() });
    }
    return this.#objects.get(key);
  }

  async #instance(object, className) {
    object.instance ??= await this.#python.make(className, object.state);
    await object.state.blocked;
    return object.instance;
  }

  async #inTurn(object, work) {
    const before = object.last;
    let done;
    object.last = new Promise((resolve) => (done = resolve));
    try {
      await before;
      return await object.context.run(work);
    } finally {
      done();
    }
  }
}
