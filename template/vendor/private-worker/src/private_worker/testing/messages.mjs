//
// Request, Response, Headers and the streams of bodies as workerd has them. What is received has
// an owner: the event it came to.

import { own, refuseAtImport, refuseForeign } from "./guards.mjs";
import { NULL_BODY } from "./wire.mjs";

const BODY_METHODS = ["arrayBuffer", "blob", "bytes", "clone", "formData", "json", "text"];

// ---------------------------------------------------------------- Headers

// A header's text is UTF-8 there. Node's Headers hold bytes, so each character is one of them here.
const PLAIN = /^[\x00-\x7f]*$/; // the same in both
export const toBytes = (value) => (PLAIN.test(value) ? String(value) : Buffer.from(String(value), "utf8").toString("latin1"));
export const fromBytes = (value) => (PLAIN.test(value) ? value : Buffer.from(value, "latin1").toString("utf8"));

const RealHeaders = Headers;
const plain = Object.fromEntries(
  ["append", "entries", "get", "getSetCookie", "set"].map((name) => [name, RealHeaders.prototype[name]]),
);
/** Names and values as bytes, to be sent. */
export const rawHeaders = (headers) => [...plain.entries.call(headers)];

function* decoded(headers) {
  for (const [name, value] of plain.entries.call(headers)) yield [name, fromBytes(value)];
}

/** Names and values, whatever form they are given in. */
function pairs(init) {
  if (init instanceof RealHeaders) return [...decoded(init)];
  if (init === undefined) return [];
  return typeof init[Symbol.iterator] === "function" ? Array.from(init, (pair) => [...pair]) : Object.entries(init);
}

globalThis.Headers = new Proxy(RealHeaders, {
  construct: (target, [init], newTarget) => {
    const given = pairs(init).map(([name, value]) => [name, toBytes(value)]);
    return Reflect.construct(target, [given], newTarget);
  },
});
Object.assign(RealHeaders.prototype, {
  append(name, value) {
    return plain.append.call(this, name, toBytes(value));
  },
  set(name, value) {
    return plain.set.call(this, name, toBytes(value));
  },
  get(name) {
    const value = plain.get.call(this, name);
    return value === null ? null : fromBytes(value);
  },
  getSetCookie() {
    return plain.getSetCookie.call(this).map(fromBytes);
  },
  entries() {
    return decoded(this);
  },
  *values() {
    for (const [, value] of decoded(this)) yield value;
  },
  forEach(callback, self) {
    for (const [name, value] of decoded(this)) callback.call(self, value, name, this);
  },
  [Symbol.iterator]() {
    return decoded(this);
  },
});

/** What a constructor is given, with its headers as bytes. It may be a Request or Response itself. */
function options(init, names) {
  const given = init instanceof RealRequest || init instanceof RealResponse;
  const copy = given ? Object.fromEntries(names.map((name) => [name, init[name]])) : { ...init };
  if (copy.headers == null) delete copy.headers;
  else copy.headers = rawHeaders(new Headers(copy.headers));
  return copy;
}

/** Headers of something received are read-only in workerd. */
export function freezeHeaders(object) {
  for (const name of ["append", "delete", "set"]) {
    object.headers[name] = () => {
      throw new TypeError("Can't modify immutable headers.");
    };
  }
  return object;
}

// ---------------------------------------------------------------- Request and Response

// A construct trap instead of a subclass, because the SDK looks at `constructor.name`. Lengths of
// bodies that are not streams are kept for Content-Length.
export const lengths = new WeakMap();
const texts = new WeakMap(); // a request's body that is text or bytes: it can be sent twice

export function bodyLength(body) {
  if (typeof body === "string") return Buffer.byteLength(body);
  if (body instanceof URLSearchParams) return Buffer.byteLength(String(body));
  return body?.byteLength ?? body?.size ?? lengths.get(body);
}

/** The body of a request, to be sent again after a redirect; undefined for a stream. */
export const repeatable = (request) => texts.get(request);

const METHODS = new Set(
  "GET HEAD POST PUT DELETE PATCH PURGE OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE QUERY BAN".split(" "),
);

/** What there is no such thing as in a Worker's own requests. */
function refuseOptions({ cache, integrity, method, redirect }) {
  if (redirect === "error") throw new TypeError('Invalid redirect value, must be one of "follow" or "manual".');
  if (cache !== undefined && cache !== "no-store" && cache !== "no-cache") {
    throw new TypeError(`Unsupported cache mode: ${cache}`);
  }
  if (integrity) {
    throw new TypeError(
      "Subrequest integrity checking is not implemented. The integrity option must be either undefined or an empty string.",
    );
  }
  if (method !== undefined && !METHODS.has(String(method).toUpperCase())) {
    throw new TypeError(`Invalid HTTP method string: ${method}`);
  }
}

const RealRequest = Request;
export const RealResponse = Response;

/** A request that somebody sends to the Worker: its method may be any. */
export function receivedRequest(url, init) {
  return freezeHeaders(own(makeRequest(RealRequest, url, { ...init, cf: init.cf ?? {} }, RealRequest)));
}

function makeRequest(target, input, init, newTarget) {
  const from = input instanceof RealRequest ? input : undefined;
  const url = from || !URL.canParse(input) ? input : new URL(input);
  if (url instanceof URL) url.username = url.password = ""; // Node has no request with them
  const given = options(init, ["method", "headers", "body", "redirect", "signal", "cf"]);
  const streams = given.body instanceof ReadableStream || (given.body == null && from?.body);
  const request = Reflect.construct(target, [url, streams ? { ...given, duplex: "half" } : given], newTarget);
  if (given.body != null && !streams) texts.set(request, given.body);
  lengths.set(request, given.body != null ? bodyLength(given.body) : lengths.get(input));
  request.cf = given.cf ?? from?.cf;
  return request;
}

globalThis.Request = new Proxy(RealRequest, {
  construct(target, [input, init], newTarget) {
    if (input instanceof RealRequest) refuseForeign(input, "Request");
    if (init == null || init instanceof RealRequest) return own(makeRequest(target, input, init, newTarget));
    refuseOptions(init);
    const method = init.method && { method: String(init.method).toUpperCase() };
    return own(makeRequest(target, input, { ...init, ...method }, newTarget));
  },
});
Object.defineProperty(RealRequest.prototype, "cf", { value: undefined, writable: true });

/** Responses whose bodies have the coding that their headers name already. */
export const encoded = new WeakSet();

globalThis.Response = new Proxy(RealResponse, {
  construct(target, [body, init], newTarget) {
    refuseAtImport("new Response");
    const none = body === "" && NULL_BODY.has(init?.status); // which Node refuses
    const given = options(init, ["status", "statusText", "headers"]);
    const response = own(Reflect.construct(target, [none ? null : body, given], newTarget));
    lengths.set(response, body == null ? 0 : bodyLength(body));
    if (given.encodeBody === "manual") encoded.add(response);
    return response;
  },
});

/** A response that comes from elsewhere: its status may be any. */
export function receivedResponse(body, { status, statusText, headers }) {
  const possible = status >= 200 && status < 600;
  const response = new Response(body, { status: possible ? status : 200, statusText, headers });
  return possible ? response : Object.defineProperty(response, "status", { value: status });
}

for (const name of ["error", "json", "redirect"]) {
  const real = RealResponse[name];
  RealResponse[name] = (...args) => {
    refuseAtImport(`Response.${name}`);
    if (name === "json") args[1] = options(args[1], []);
    return own(real.apply(RealResponse, args));
  };
}
for (const Class of [RealRequest, RealResponse]) {
  for (const name of BODY_METHODS) {
    const real = Class.prototype[name];
    if (!real) continue; // older Node
    Class.prototype[name] = function (...args) {
      refuseForeign(this, `${Class.name}.${name}`);
      const result = real.apply(this, args);
      if (name !== "clone") return result;
      lengths.set(result, lengths.get(this));
      if (this.cf !== undefined) result.cf = this.cf;
      return own(result);
    };
  }
  const { get } = Object.getOwnPropertyDescriptor(Class.prototype, "body");
  Object.defineProperty(Class.prototype, "body", {
    configurable: true,
    enumerable: true,
    get() {
      refuseForeign(this, `${Class.name}.body`);
      const stream = get.call(this);
      if (stream) lengths.set(own(stream), lengths.get(this)); // handed on, it keeps its length
      return stream;
    },
  });
}

// ---------------------------------------------------------------- streams of bodies

for (const [Class, names] of [
  [ReadableStream, ["cancel", "getReader", "pipeThrough", "pipeTo", "tee", "values"]],
  [ReadableStreamDefaultReader, ["cancel", "read", "releaseLock"]],
  [ReadableStreamBYOBReader, ["cancel", "read", "releaseLock"]],
]) {
  for (const name of names) {
    const real = Class.prototype[name];
    Class.prototype[name] = function (...args) {
      refuseForeign(this, `${Class.name}.${name}`);
      const result = real.apply(this, args);
      return name === "getReader" ? own(result) : result;
    };
  }
}
