//
// A small Worker beside the project's own, in real workerd. It reaches the entrypoints of that one
// as any Worker reaches another through a service binding, with the props that a test asks for.
//
// host.mjs says in a header which entrypoint that is and what to do with it. There are two of it:
// "gateway" and "trigger", the latter with workerd's flag for starting events.

import { WorkerEntrypoint } from "cloudflare:workers";

import { fromWire, toWire } from "../wire.mjs";
import { typeIn } from "./python_error.mjs";

const HEADER = "kit-gateway";
const REFUSED = "kit-refused"; // in the router's answer to what has no route

const operations = {
  /** An HTTP request, handed on as it came. */
  async fetch({ door }, env, request) {
    const headers = new Headers(request.headers);
    headers.delete(HEADER);
    return (await reach(env, door)).fetch(new Request(request, { headers, redirect: "manual" }));
  },

  async call({ door }, env, request) {
    const { method, args } = await request.json();
    const target = await reach(env, door);
    return answer(async () => toWire(await target[method](...args.map(fromWire))));
  },

  /** As a Cron Trigger starts it. */
  async scheduled(_, env, request) {
    const { cron } = await request.json();
    return answer(() => env.WORKER.scheduled({ cron, scheduledTime: new Date() }));
  },

  /** A batch of messages from a queue. */
  async queue(_, env, request) {
    const { queue, bodies } = await request.json();
    const messages = bodies.map((body, at) => ({ id: `${at}`, timestamp: new Date(), attempts: 1, body: fromWire(body) }));
    return answer(() => env.WORKER.queue(queue, messages));
  },

  /** A method of a Durable Object of the Worker's. */
  async object({ binding, name }, env, request) {
    const { method, args } = await request.json();
    const stub = env[binding].getByName(name);
    const given = method === "fetch" ? [args[0]] : args.map(fromWire);
    return answer(async () => toWire(await stub[method](...given)));
  },

  /** A line in each of the two logs: what was printed before it has been written by then. */
  mark({ line }) {
    console.log(line);
    console.error(line);
    return new Response();
  },
};

async function reach(env, { address, service, entrypoint, props }) {
  const client = await env.DEBUG_PORT.connect(address);
  return client.getEntrypoint(service, entrypoint, props);
}

async function answer(work) {
  try {
    return Response.json({ ok: (await work()) ?? null });
  } catch (error) {
    const { name = "Error", type, message = String(error) } = error ?? {};
    return Response.json({ error: { name, type: type ?? typeIn(message), message } });
  }
}

export default {
  fetch(request, env) {
    const asked = JSON.parse(request.headers.get(HEADER));
    return operations[asked.op](asked, env, request);
  },

  /** What an event without an answer has raised, which workerd itself does not log. */
  tail(traces) {
    for (const { event, exceptions } of traces) {
      if (event && "request" in event) continue; // it is logged
      for (const { name, message, stack } of exceptions) {
        console.error(`Uncaught ${name}: ${message}${stack ? `\n${stack}` : ""}`);
      }
    }
  },
};

/** Where the Worker's own `fetch` goes. Miniflare takes a Worker there, and this one asks the router. */
export class Outbound extends WorkerEntrypoint {
  async fetch(request) {
    const response = await this.env.OUTBOUND.fetch(new Request(request, { redirect: "manual" }));
    if (response.headers.has(REFUSED)) throw new Error(await response.text());
    return response;
  }
}
