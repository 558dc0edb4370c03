//
// HTTP on both sides of workerd: requests to it, and the proxy that all of its own go through.
//
// Header text is UTF-8 in workerd; Node has one character for each byte.

import http from "node:http";
import https from "node:https";

const OF_A_CONNECTION = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding"]);

export const toBytes = (text) => Buffer.from(text, "utf8").toString("latin1");
export const fromBytes = (text) => Buffer.from(text, "latin1").toString("utf8");

/** Pairs as Node takes them: what stands several times is a list. */
function grouped(pairs) {
  const found = new Map();
  for (const [name, value] of pairs) {
    const key = name.toLowerCase();
    if (!found.has(key)) found.set(key, [name, []]);
    found.get(key)[1].push(value);
  }
  return Object.fromEntries([...found.values()].map(([name, values]) => [name, values.length > 1 ? values : values[0]]));
}

/** Node's flat list as pairs, without what belongs to a connection. */
function pairsOf(raw) {
  const pairs = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!OF_A_CONNECTION.has(raw[i].toLowerCase())) pairs.push([raw[i], raw[i + 1]]);
  }
  return pairs;
}

/**
 * Starts a request to a port of workerd's, as an HTTP proxy does: so the Worker sees `url` whatever
 * it is. `headers` are pairs. Node's own request comes back; the caller ends it.
 */
export function request(port, method, url, headers) {
  const { href, hash, host } = new URL(url);
  const path = hash ? href.slice(0, -hash.length) : href;
  const encoded = headers.map(([name, value]) => [name, toBytes(value)]);
  const sent = http.request({
    host: "127.0.0.1",
    port,
    method,
    path,
    headers: grouped([["Host", host], ...encoded]),
    agent: false,
    setHost: false,
  });
  sent.removeHeader("Connection"); // the Worker would see it
  sent.on("response", (response) => response.on("end", () => sent.destroy()));
  return sent;
}

/** The answer to such a request, whole: {status, headers, body}. Rejects when it breaks off. */
export function answered(sent) {
  return new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("close", () => reject(new Error("no answer")));
    sent.on("response", (response) => {
      const chunks = [];
      response.on("error", () => reject(Object.assign(new Error("the answer breaks off"), { begun: true })));
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => {
        const headers = pairsOf(response.rawHeaders).map(([name, value]) => [name, fromBytes(value)]);
        resolve({ status: response.statusCode, headers, body: Buffer.concat(chunks) });
      });
    });
  });
}

/** Hands a request that came to a server of ours on to `onward`, and its answer back. */
function relay(incoming, outgoing, onward) {
  const broken = () => {
    onward.destroy();
    outgoing.destroy();
  };
  onward.on("error", broken);
  outgoing.on("close", () => onward.destroy());
  incoming.on("error", broken);
  onward.on("upgrade", (answer, socket) => {
    socket.destroy();
    outgoing.socket?.end(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n\r\n`);
  });
  onward.on("response", (answer) => {
    answer.on("error", broken);
    answer.on("aborted", broken);
    outgoing.writeHead(answer.statusCode, answer.statusMessage, pairsOf(answer.rawHeaders).flat());
    outgoing.flushHeaders();
    answer.pipe(outgoing);
  });
  incoming.pipe(onward);
}

/** A port on 127.0.0.1 until `close`, for `use(incoming, outgoing)`. */
class Server {
  constructor(use) {
    this.server = http.createServer({ requestTimeout: 0, requireHostHeader: false }, use);
  }

  listen() {
    return new Promise((resolve) => this.server.listen(0, "127.0.0.1", () => resolve(this.server.address().port)));
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** An address of the Worker for real clients; `to(incoming)` is {port, url, headers} of workerd's. */
export class Door extends Server {
  constructor(to) {
    super((incoming, outgoing) => {
      const { port, url, headers } = to(incoming);
      const kept = pairsOf(incoming.rawHeaders)
        .filter(([name]) => name.toLowerCase() !== "host")
        .map(([name, value]) => [name, fromBytes(value)]);
      const coded = incoming.headers["transfer-encoding"] ? [["Transfer-Encoding", "chunked"]] : [];
      relay(incoming, outgoing, request(port, incoming.method, url, [...kept, ...coded, ...headers]));
    });
  }
}

/**
 * The proxy for what the Worker fetches. `target(url)` is the origin of the local server that
 * answers, or an Error that the Worker's `fetch` throws; `seen` gets each request: {method, url, headers}.
 */
export class Router extends Server {
  constructor(target, seen) {
    super((incoming, outgoing) => {
      const { method } = incoming;
      const url = new URL(fromBytes(incoming.url));
      const pairs = pairsOf(incoming.rawHeaders);
      const own = pairs.filter(([name]) => !BY_THE_RUNTIME.has(name.toLowerCase()));
      seen({ method, url: url.href, headers: own.map(([name, value]) => [name.toLowerCase(), fromBytes(value)]) });
      const to = target(url);
      if (to instanceof Error) return outgoing.writeHead(502, { [REFUSED]: "" }).end(to.message);
      const { hostname, port, protocol } = new URL(to);
      const coded = incoming.headers["transfer-encoding"] ? [["Transfer-Encoding", "chunked"]] : [];
      const onward = (protocol === "https:" ? https : http).request({
        host: hostname.replace(/^\[|\]$/g, ""),
        port,
        method,
        path: url.pathname + url.search,
        headers: grouped([["Host", url.host], ...pairs.filter(([name]) => name.toLowerCase() !== "host"), ...coded]),
        agent: false,
        setHost: false,
      });
      relay(incoming, outgoing, onward);
    });
  }
}

const REFUSED = "kit-refused"; // see gateway.mjs
// What the Worker itself has not set: `worker.outbound` leaves it out.
const BY_THE_RUNTIME = new Set(["host", "content-length", "cf-worker"]);
