//
// What workerd refuses and Node does not: each "guard" here makes Node refuse it as well, so that
// a test fails here and not after a deploy. It replaces what the Worker finds in JavaScript's
// globals, so it is imported before Pyodide starts.
// Not modelled: CPU and memory limits, the clock that stands still between I/O, caches,
// HTMLRewriter, WebSocketPair.

import nodeCrypto from "node:crypto";
import v8 from "node:v8";

import { contexts, current, currentId, isPython, log, realThen } from "./context.mjs";

const BODY_METHODS = ["arrayBuffer", "blob", "bytes", "clone", "formData", "json", "text"];

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
export function hung(id, why) {
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
export const lengths = new WeakMap();

function bodyLength(body) {
  if (typeof body === "string") return Buffer.byteLength(body);
  if (body instanceof URLSearchParams) return Buffer.byteLength(String(body));
  return body?.byteLength ?? body?.size ?? lengths.get(body);
}

const RealRequest = Request;
export const RealResponse = Response;
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
export function freezeHeaders(object) {
  for (const name of ["append", "delete", "set"]) {
    object.headers[name] = () => {
      throw new TypeError("Can't modify immutable headers.");
    };
  }
  return object;
}
