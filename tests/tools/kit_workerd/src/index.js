// Stands in for a Python Worker where workerd's Python cannot be had.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

let count = 0;

const told = async (request) => ({
  method: request.method,
  url: request.url,
  headers: [...request.headers],
});

const paths = {
  "/": async ({ request }) => Response.json(await told(request)),
  "/count": () => Response.json(++count),
  "/echo": ({ request }) => new Response(request.body, { headers: { "X-Title": "Grüße" } }),
  "/cookies": () => new Response(null, { status: 204, headers: [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]] }),
  "/env": async ({ env }) => Response.json([env.TEXT, env.LIST, await env.SELF?.props()]),
  "/access": async ({ ctx: { access } }) => Response.json(access ? [access.aud, await access.getIdentity()] : null),
  "/fetch": async ({ request }) => {
    const url = new URL(request.url).searchParams.get("url");
    const answer = await fetch(url, { method: "POST", body: "ping", headers: { "X-Title": "Grüße" } });
    return new Response(answer.body, { status: answer.status });
  },
  "/import": async ({ request }) => {
    const { default: file } = await import(`./${new URL(request.url).searchParams.get("name")}`);
    return new Response(file);
  },
  "/private": ({ env }) => env.PRIVATE.fetch("http://anything.internal/path?q=1"),
  "/slow": () => new Promise((resolve) => setTimeout(() => resolve(new Response("late")), 60_000)),
  "/endless": () => {
    for (;;);
  },
  "/raise": () => {
    throw new Error("it is broken");
  },
  "/print": () => {
    console.log("one\ntwo");
    console.error("three");
    return new Response();
  },
  "/stores": async ({ env }) => {
    const before = [await env.KV.get("a"), await env.DB.prepare("SELECT count(*) AS n FROM quotes").first("n")];
    await env.KV.put("a", "b");
    await env.DB.prepare("INSERT INTO quotes VALUES ('hello')").run();
    await env.FILES.put("a", "of a file");
    await env.QUEUE.send({ a: 1 });
    const limits = [];
    for (let i = 0; i < 3; i++) limits.push((await env.LIMIT.limit({ key: "a" })).success);
    return Response.json([before, await env.KV.get("a"), await (await env.FILES.get("a")).text(), limits]);
  },
};

export default class extends WorkerEntrypoint {
  fetch(request) {
    const { ctx, env } = this;
    return paths[new URL(request.url).pathname]({ request, ctx, env });
  }
  scheduled(event) {
    if (event.cron === "0 0 * * *") throw new Error("no work at night");
    console.log(Object.prototype.toString.call(event), event.cron);
  }
  queue(batch) {
    console.log(batch.queue, JSON.stringify(batch.messages.map(({ body }) => body)));
    batch.messages[0].ack();
    batch.messages[1].retry();
  }
}

export class Internal extends WorkerEntrypoint {
  props() {
    return this.ctx.props;
  }
  same(value) {
    return value;
  }
  raise() {
    throw new TypeError("it is broken");
  }
  async fetch(request) {
    return Response.json([this.ctx.props, await told(request)]);
  }
}

export class Room extends DurableObject {
  async add(n) {
    const sum = ((await this.ctx.storage.get("sum")) ?? 0) + n;
    await this.ctx.storage.put("sum", sum);
    return sum;
  }
}
