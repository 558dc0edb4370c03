//
// Events, what each of them owns, and what the Worker prints.

import { AsyncLocalStorage } from "node:async_hooks";
import util from "node:util";

// The real one: host.mjs makes the Worker's own refuse what belongs to another event.
export const realThen = Promise.prototype.then;

// ---------------------------------------------------------------- logs

export let logs = [];
let PyProxy = class {}; // Pyodide's, once it is there

export const isPython = (value) => value instanceof PyProxy;

export function knowPython(pyodide) {
  PyProxy = pyodide.ffi.PyProxy;
}

export function log(...values) {
  const shown = values.map((value) => (isPython(value) ? String(value) : value));
  logs.push(...util.format(...shown).split("\n"));
}

export const text = (error) =>
  String(error?.name === "PythonError" ? error.message : error?.stack ?? error);

// ---------------------------------------------------------------- events

export const storage = new AsyncLocalStorage();
export const IMPORTING = { importing: true }; // the store while the Worker's modules are imported
export const contexts = new Map(); // id -> Context of every event that is running
let lastId = 0;

export const current = () => storage.getStore();
export const currentId = () => current()?.id ?? 0;

/** What one event (a request or an RPC call) owns; workerd calls it IoContext. */
export class Context {
  id = ++lastId;
  timers = new Set();
  sockets = new Set();
  waiting = [];
  end() {
    // As in workerd, what still runs when an event is over simply never continues.
    for (const timer of this.timers) clearTimeout(timer);
    for (const socket of this.sockets) socket.destroy();
    contexts.delete(this.id);
    this.ended = true;
  }
}

/** What a Worker does in the background. */
export async function settled(promise) {
  // A Python coroutine arrives as a proxy that dies with the call, so it is copied.
  const own = typeof promise?.copy === "function" ? promise.copy() : promise;
  try {
    await own;
  } catch (error) {
    log(`Uncaught (in waitUntil) ${text(error)}`);
  } finally {
    own?.destroy?.();
  }
}

/** The `ctx` a Worker gets. `access` is undefined unless Cloudflare Access let the caller in. */
export class ExecutionContext {
  access = undefined;
  props = {};
  #context;
  constructor(context) {
    this.#context = context;
  }
  get [Symbol.toStringTag]() {
    return "ExecutionContext";
  }
  waitUntil(promise) {
    this.#context.waiting.push(settled(promise));
  }
  passThroughOnException() {}
}

export class Stopped extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

let dead = null; // why the isolate is gone; only a new one, see `renew`, lets events in again

export function die(reason) {
  dead = reason;
  log(`Python worker fatal error: ${reason}`);
  for (const context of contexts.values()) context.fail(new Stopped("died", reason));
}

/** Pyodide itself broke: this process is of no use any more, runtime.py starts another one. */
export function crash(error) {
  process.stderr.write(`Pyodide broke: ${error}\n`);
  process.exit(70);
}

/** Runs `work(context)` as an event of its own; `key` is the protocol id, to cancel it by. */
export function enter(key, work) {
  if (dead) return Promise.reject(new Stopped("died", dead));
  const context = new Context();
  context.key = key;
  contexts.set(context.id, context);
  return new Promise((resolve, reject) => {
    context.fail = (error) => {
      context.end();
      reject(error);
    };
    context.leave = async (error) => {
      reject(error);
      // As in workerd, all of the event goes on until waitUntil is done, for at most 30 seconds.
      const limit = setTimeout(() => context.end(), 30_000);
      for (let i = 0; i < context.waiting.length; i++) await context.waiting[i];
      clearTimeout(limit);
      context.end();
    };
    // Not Promise.race: that would call the guarded `then` from the caller's context.
    const outcome = storage.run(context, async () => {
      try {
        return await work(context);
      } finally {
        // Waiting here makes logs and outbound requests of background work complete.
        for (let i = 0; i < context.waiting.length; i++) await context.waiting[i];
      }
    });
    realThen.call(
      outcome,
      (value) => (context.end(), resolve(value)),
      (error) => (context.end(), reject(error)),
    );
  });
}

/** A context that lasts for several events, such as those of one Durable Object. */
export class LastingContext extends Context {
  #pending = new Set();
  constructor() {
    super();
    contexts.set(this.id, this);
  }
  fail(error) {
    for (const reject of this.#pending) reject(error);
    this.end();
  }
  run(work) {
    if (dead) return Promise.reject(new Stopped("died", dead));
    return new Promise((resolve, reject) => {
      this.#pending.add(reject);
      realThen.call(
        storage.run(this, async () => await work()),
        (value) => (this.#pending.delete(reject), resolve(value)),
        (error) => (this.#pending.delete(reject), reject(error)),
      );
    });
  }
}

/** A new isolate: what still runs ends, nothing has been printed. */
export function renew() {
  for (const context of contexts.values()) context.fail(new Stopped("cancelled", "the Worker was reloaded"));
  dead = null;
  logs = [];
}
