//
// HTTP: what the Worker sends, and what a server made by `listen` gives it.

import http from "node:http";
import https from "node:https";
import { PassThrough, pipeline as connect, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";

import { crash, current, enter, log, Stopped, text } from "./context.mjs";
import { refuseAtImport } from "./guards.mjs";
import {
  encoded,
  freezeHeaders,
  fromBytes,
  lengths,
  rawHeaders,
  receivedRequest,
  receivedResponse,
  repeatable,
} from "./messages.mjs";
import { NULL_BODY } from "./wire.mjs";

// ---------------------------------------------------------------- outbound HTTP

export let outbound = []; // the requests that the Worker sent since `load`
let routes = {}; // origin -> origin of a local server
const servers = new Set(); // what `listen` opened

/** A new isolate. `wanted` maps an origin that the Worker asks for to one of a local server. */
export function renewHttp(wanted) {
  outbound = [];
  routes = Object.fromEntries(Object.entries(wanted).map(([from, to]) => [new URL(from).origin, to]));
  for (const server of servers) server.close();
  servers.clear();
}

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
export async function send(request, target) {
  refuseAtImport("fetch");
  let url = new URL(request.url);
  if (url.protocol === "data:") return freezeHeaders(await realFetch(url));
  let { method, body } = request;
  const headers = new Headers(request.headers);
  for (let hops = 0; hops < 20; hops++) {
    outbound.push({ method, url: url.href, headers: [...headers] });
    const response = await exchange(url, target(url), method, request, headers, body);
    const location = response.headers.get("location");
    const moved = [301, 302, 303, 307, 308].includes(response.status) && location !== null;
    if (!moved || request.redirect === "manual") {
      Object.defineProperty(response, "url", { value: url.href });
      Object.defineProperty(response, "redirected", { value: hops > 0 });
      return freezeHeaders(response);
    }
    await response.body?.cancel();
    const from = url.origin;
    url = new URL(location, url);
    if (url.origin !== from) headers.delete("authorization"); // it was meant for the other one
    if (response.status === 303 || (response.status < 303 && method === "POST")) method = "GET";
    if (method === "GET") body = null;
    else if (body) body = sentAgain(request);
  }
  throw new TypeError("Too many redirects");
}

function sentAgain(request) {
  const body = repeatable(request);
  if (body === undefined) throw new TypeError("A request with a streamed body cannot follow a redirect.");
  return new Response(body).body;
}

const DECODERS = { br: zlib.createBrotliDecompress, gzip: zlib.createGunzip };
const ENCODERS = { br: zlib.createBrotliCompress, gzip: zlib.createGzip };

/** `transform` of the coding that the headers name, if it is one that workerd knows. */
const coding = (transforms, headers) => transforms[headers.get("content-encoding")?.toLowerCase()];

function exchange(url, target, method, request, sent, body) {
  const context = current();
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(rawHeaders(sent));
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
    message.removeHeader("connection"); // which Node sends without an agent
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
    const answered = (incoming, stream) => {
      const { statusCode: status, statusMessage: statusText, rawHeaders: pairs } = incoming;
      const received = new Headers();
      for (let i = 0; i < pairs.length; i += 2) received.append(pairs[i], fromBytes(pairs[i + 1]));
      const decoder = stream && coding(DECODERS, received);
      // A body that breaks off is an error of who reads it.
      const plain = decoder ? connect(stream, decoder(), () => {}) : stream;
      const response = receivedResponse(plain && Readable.toWeb(plain), { status, statusText, headers: received });
      if (!decoder) lengths.set(response, Number(received.get("content-length") ?? NaN) || undefined);
      resolve(response);
    };
    message.on("upgrade", (incoming, socket) => (socket.destroy(), answered(incoming, null)));
    message.on("information", (incoming) => {
      if (incoming.statusCode !== 101) return;
      answered(incoming, null);
      message.destroy();
    });
    message.on("response", (incoming) => {
      const empty = NULL_BODY.has(incoming.statusCode) || incoming.statusCode < 200 || method === "HEAD";
      if (empty) incoming.resume();
      try {
        answered(incoming, empty ? null : incoming);
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

const realFetch = fetch;
globalThis.fetch = async (input, init) => send(new Request(input, init), routed);
globalThis.WebSocket = class WebSocket {
  constructor(url) {
    throw new Error(`no WebSocket to ${url}: tests have no network`);
  }
};

// ---------------------------------------------------------------- HTTP from outside

/** A client's body. When it hangs up, the Worker reads workerd's words. */
function received(incoming) {
  const body = new PassThrough();
  incoming.on("error", () => body.destroy(new Error("Network connection lost.")));
  return incoming.pipe(body);
}

/** One request to such a server. The event lasts until the answer is sent or the client is gone. */
async function receive(origin, answer, incoming, outgoing) {
  const { "content-length": length, "transfer-encoding": chunked } = incoming.headers;
  const body = Number(length) > 0 || chunked ? Readable.toWeb(received(incoming)) : null;
  const headers = [];
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    headers.push([incoming.rawHeaders[i], fromBytes(incoming.rawHeaders[i + 1])]);
  }
  try {
    await enter(null, async (context) => {
      outgoing.on("close", () => context.leave(new Stopped("cancelled", "the client went away")));
      const init = { method: incoming.method, headers, body, redirect: "manual" };
      const request = receivedRequest(origin + incoming.url, init);
      if (body && length) lengths.set(request, Number(length));
      await respond(await answer(context, request), incoming.method, outgoing);
    });
  } catch (error) {
    if (error?.pyodide_fatal_error) crash(error);
    if (error.kind !== "cancelled") log(`Uncaught ${text(error)}`);
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(500).end("Internal Server Error");
  }
}

/** How long the body is, and how, is for the runtime to say, whatever the Worker's headers say. */
async function respond(response, method, outgoing) {
  const encoder = !encoded.has(response) && response.body && coding(ENCODERS, response.headers);
  const headers = rawHeaders(response.headers).filter(
    ([name]) => !["connection", "keep-alive", "transfer-encoding", "content-length"].includes(name),
  );
  const said = method === "HEAD" && response.headers.get("content-length");
  const length = said || lengths.get(response);
  if (length != null && !encoder && !NULL_BODY.has(response.status)) headers.push(["content-length", String(length)]);
  outgoing.writeHead(response.status, headers.flat());
  if (!response.body) return outgoing.end();
  await pipeline(Readable.fromWeb(response.body), ...(encoder ? [encoder()] : []), outgoing);
}

/** Opens a port on which `answer(context, request)` answers real HTTP; returns the port. */
export function listen(origin, answer) {
  const server = http.createServer((...pair) => receive(origin, answer, ...pair));
  servers.add(server);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}
