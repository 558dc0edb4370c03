//
// What workerd refuses and Node does not: each "guard" here makes Node refuse it as well, so that
// a test fails here and not after a deploy. It replaces what the Worker finds in JavaScript's
// globals, so it is imported before Pyodide starts. messages.mjs and webcrypto.mjs have more of them.
// Not modelled: CPU and memory limits, the clock that stands still between I/O, caches,
// HTMLRewriter, WebSocketPair.

import v8 from "node:v8";

import { contexts, current, currentId, log, realThen } from "./context.mjs";

// ---------------------------------------------------------------- clock

const realNow = Date.now.bind(Date);
const realPerformanceNow = performance.now.bind(performance);
const RealDate = Date;
let offset = 0; // ms that `advance` added

export function advance(milliseconds) {
  offset += milliseconds;
}

export function resetClock() {
  offset = 0;
}

// During import workerd's clock stands at 1970.
RealDate.now = () => (current()?.importing ? 0 : realNow() + offset);
performance.now = () => realPerformanceNow() + offset;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length ? args : [RealDate.now()], newTarget),
});

for (const level of ["debug", "error", "info", "log", "trace", "warn"]) console[level] = log;

// ---------------------------------------------------------------- guards
export function refuseAtImport(what) {
  if (current()?.importing) {
    throw new Error(
      `Disallowed operation called within global scope: ${what}. Asynchronous I/O, timeouts and ` +
        "random values are not allowed while the Worker is imported; do it within a handler.",
    );
  }
}

// Guard: an I/O object belongs to the event that made it.
const owners = new WeakMap();

export function refuseForeign(object, what) {
  const owner = owners.get(object);
  const now = currentId();
  if (owner && now && owner !== now) {
    throw new Error(
      "Cannot perform I/O on behalf of a different request. I/O objects created in the context " +
        `of one request handler cannot be accessed from a different request's handler. (${what})`,
    );
  }
}

export function own(object) {
  if (currentId()) owners.set(object, currentId());
  return object;
}

// Guard: waiting for something that only another event can finish. workerd answers the waiting
// event with 500 at once ("code had hung") and no try in the Worker can prevent it.
export function hung(id, why) {
  const message =
    `The Worker's code had hung: it waited for ${why} of another request. workerd cancels such a ` +
    "request with 500; a shared asyncio.Lock then blocks every later request as well.";
  log(message);
  contexts.get(id)?.fail(Object.assign(new Error(message), { name: "HungError" }));
  return new Error(message);
}

const promiseOwners = new WeakMap(); // only promises that are still pending
const awaited = new WeakSet(); // those among them for which their event waits
v8.promiseHooks.createHook({
  init(promise) {
    if (currentId()) promiseOwners.set(promise, currentId());
  },
  settled(promise) {
    const owner = promiseOwners.get(promise);
    promiseOwners.delete(promise);
    if (!owner || owner === currentId() || !awaited.has(promise) || !currentId()) return;
    // Before anything goes on that waits for it, but not within this hook.
    queueMicrotask(() => hung(owner, "a promise that was resolved by code"));
  },
});
Promise.prototype.then = function then(...callbacks) {
  const owner = promiseOwners.get(this);
  const now = currentId();
  if (owner && now && owner !== now) throw hung(now, "a pending promise");
  if (owner && now) awaited.add(this);
  return realThen.apply(this, callbacks);
};

for (const name of ["setTimeout", "setInterval"]) {
  const real = globalThis[name];
  globalThis[name] = (callback, delay, ...args) => {
    // Python's own loop is let through there, so setTimeout without a delay is.
    if (current()?.importing && name === "setTimeout" && !delay) return queueMicrotask(() => callback(...args)), 0;
    refuseAtImport(name);
    const timer = real(callback, delay, ...args);
    if (current()?.ended) clearTimeout(timer);
    current()?.timers?.add(timer);
    return timer;
  };
}
const realTimeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (delay) => {
  refuseAtImport("AbortSignal.timeout");
  return realTimeout(delay);
};
