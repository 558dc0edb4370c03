//
// HTTP: what the Worker sends, and what a server made by `listen` gives it.

import http from "node:http";
import https from "node:https";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { crash, current, enter, log, Stopped, text } from "./context.mjs";
import { freezeHeaders, lengths, refuseAtImport } from "./guards.mjs";
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

// ---------------------------------------------------------------- HTTP from outside

/** A client's body. When it hangs up, the Worker reads workerd's words. */
function received(incoming) {
  const body = new PassThrough();
  incoming.on("error", () => body.destroy(new Error("Network connection lost.")));
  return incoming.pipe(body);
}

/** One request to such a server. The event lasts until the answer is sent or the client is gone. */
async function receive(origin, answer, incoming, outgoing) {
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
      const response = await answer(context, request);
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

/** Opens a port on which `answer(context, request)` answers real HTTP; returns the port. */
export function listen(origin, answer) {
  const server = http.createServer((...pair) => receive(origin, answer, ...pair));
  servers.add(server);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}
