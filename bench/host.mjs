// Measures a rendered Worker in Pyodide. run.py starts it: node --expose-gc host.mjs '{"mode": …}'
// The result is one line of JSON on stdout. This is not the test kit's host, because its guards
// would be measured as well.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { loadPyodide } from "pyodide";

const job = JSON.parse(process.argv[2]);
const METADATA = "/session/metadata"; // where workerd puts the Worker's own files
const PACKAGES = `${METADATA}/python_modules`; // and its dependencies
const ADDRESS = "http://127.0.0.1/"; // with a team on this computer, no other
const AUD = "a".repeat(64);
const PERSON = "person@example.com";
const PROOF = "Cf-Access-Jwt-Assertion";

// ---------------------------------------------------------------- the Worker

// What workerd's own Python does around each event: convert, call, convert.
const ANSWER = `
from workers import python_from_rpc, python_to_rpc

async def answer(instance, request):
    return python_to_rpc(await instance.fetch(python_from_rpc(request)))
`;

const PATHS = `
import site, sys
at = next(i for i, entry in enumerate(sys.path) if "site-packages" in entry)
sys.path[at:at] = ["${METADATA}", "${PACKAGES}"]
site.addsitedir("${PACKAGES}")
sys.dont_write_bytecode = True
`;

function copy(pyodide, from, to) {
  for (const entry of fs.readdirSync(from, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || file.includes("__pycache__")) continue;
    const name = path.posix.join(to, ...path.relative(from, file).split(path.sep));
    pyodide.FS.mkdirTree(path.posix.dirname(name));
    pyodide.FS.writeFile(name, fs.readFileSync(file));
  }
}

async function start() {
  const pyodide = await loadPyodide();
  class Other {}
  class WorkerEntrypoint {}
  pyodide.registerJsModule("_cloudflare_compat_flags", {
    python_request_headers_preserve_commas: true,
    python_workflows_implicit_dependencies: true,
  });
  pyodide.registerJsModule("_pyodide_entrypoint_helper", {
    doAnImport: (name) => import(name),
    cloudflareWorkersModule: { DurableObject: Other, WorkerEntrypoint, WorkflowEntrypoint: Other, env: {} },
    cloudflareSocketsModule: {},
    workerEntrypoint: WorkerEntrypoint,
    patchWaitUntil() {},
  });
  copy(pyodide, job.packages, PACKAGES);
  copy(pyodide, job.source, METADATA);
  for (const file of ["plain.py", "steps.py", "unguarded.py"]) {
    pyodide.FS.writeFile(`${METADATA}/${file}`, fs.readFileSync(new URL(file, import.meta.url)));
  }
  pyodide.runPython(PATHS);
  pyodide.runPython("import workers");
  return pyodide;
}

/** What sends one request to `Default` of a module, reads the answer and wants this status. */
function door(pyodide, module, env) {
  const Default = pyodide.pyimport(module).Default;
  const globals = pyodide.toPy({});
  pyodide.runPython(ANSWER, { globals });
  const answer = globals.get("answer");
  const promising = { promising: true };
  return async (headers, status, path = "/", more = {}) => {
    const context = { access: undefined, props: {}, waitUntil: (work) => work.copy() };
    const request = new Request(new URL(path, ADDRESS), { headers, ...more });
    const instance = await Default.callWithOptions(promising, context, env);
    const response = await answer.callWithOptions(promising, instance, request);
    instance.destroy();
    await response.text();
    if (response.status !== status) throw new Error(`${response.status} instead of ${status}`);
  };
}

// ---------------------------------------------------------------- Access

/** Keys on a real server, and tokens as long as Cloudflare's. */
async function access() {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const kid = "0123456789abcdef".repeat(4);
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" };
  const server = http.createServer((_, response) => response.end(JSON.stringify({ keys: [jwk] })));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const now = Math.floor(Date.now() / 1000);
  let made = 0;
  const token = () =>
    new SignJWT({
      email: PERSON,
      type: "app",
      identity_nonce: `6ei69kawdKzMIAPF${++made}`,
      country: "US",
      policy_id: "00000000-0000-4000-8000-000000000000",
    })
      .setProtectedHeader({ alg: "RS256", kid, typ: "JWT" })
      .setIssuer(issuer)
      .setAudience([AUD])
      .setSubject("00000000-0000-4000-8000-000000000001")
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + 24 * 3600)
      .sign(privateKey);
  const env = { TEAM_DOMAIN: issuer, POLICY_AUD: AUD, ALLOWED_EMAILS: [PERSON], ALLOWED_SERVICE_TOKENS: [] };
  env.ROLES = { admin: [PERSON], staff: ["@example.com"] };
  return { env, issuer, jwk, keys: createLocalJWKSet({ keys: [jwk] }), token };
}

const b64url = (text) => Buffer.from(text).toString("base64url");

/** Headers that must be refused. */
function garbage(good, kid) {
  const [header, payload, signature] = good.split(".");
  const forged = (signature[9] === "A" ? "B" : "A") + signature.slice(1);
  const deep = b64url("[".repeat(1500));
  return {
    "no header": {},
    "not a JWT": { [PROOF]: "x" },
    "unsigned": { [PROOF]: `${b64url('{"alg":"none"}')}.${payload}.` },
    "16 KiB of junk": { [PROOF]: "A".repeat(16 * 1024) },
    "nested JSON": { [PROOF]: `${deep}.${payload}.${signature}` },
    "another's key id": { [PROOF]: `${b64url(JSON.stringify({ alg: "RS256", kid: "x" }))}.${payload}.${signature}` },
    "wrong signature": { [PROOF]: `${header}.${payload}.${forged}` },
  };
}

// ---------------------------------------------------------------- measurements

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

function shuffle(items) {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

const modes = {
  /** Median milliseconds of each kind of request, all kinds interleaved in random order. */
  async requests(pyodide) {
    const team = await access();
    const guarded = door(pyodide, "entry", team.env);
    const unguarded = door(pyodide, "unguarded", team.env);
    const known = await team.token();
    const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("jwk", team.jwk, rsa, false, ["verify"]);
    const options = { issuer: team.issuer, audience: AUD, algorithms: ["RS256"] };
    const refused = Object.entries(garbage(known, team.jwk.kid));
    const times = {};
    for (let round = -job.warmup; round < job.rounds; round++) {
      const fresh = await team.token();
      const [head, payload, signature] = fresh.split(".");
      const signed = [Buffer.from(signature, "base64url"), Buffer.from(`${head}.${payload}`)];
      const kinds = {
        "unguarded": () => unguarded({ [PROOF]: known }, 200),
        "unguarded, 16 KiB header": () => unguarded({ [PROOF]: "A".repeat(16 * 1024) }, 200),
        "known token": () => guarded({ [PROOF]: known }, 200),
        "new token": () => guarded({ [PROOF]: fresh }, 200),
        "jose": () => jwtVerify(fresh, team.keys, options),
        "WebCrypto": () => crypto.subtle.verify(rsa, key, ...signed),
      };
      for (const [name, headers] of refused) kinds[name] = () => guarded(headers, 403);
      for (const name of shuffle(Object.keys(kinds))) {
        const before = performance.now();
        await kinds[name]();
        const took = performance.now() - before;
        if (round >= 0) (times[name] ??= []).push(took);
      }
    }
    return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
  },

  /** What is in use after each twelfth of the requests: known, new, none, junk in turn. */
  async memory(pyodide) {
    const team = await access();
    const guarded = door(pyodide, "entry", team.env);
    const known = await team.token();
    const objects = pyodide.runPython("import gc\nlambda: (gc.collect(), len(gc.get_objects()))[1]");
    const samples = [];
    for (let sent = 0; sent <= job.requests; sent++) {
      if (sent % (job.requests / 12) === 0) {
        for (let i = 0; i < 3; i++) {
          globalThis.gc(); // proxies of dead Python objects are let go in tasks after a collection
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        const { heapUsed, rss } = process.memoryUsage();
        samples.push({ sent, objects: objects(), heapUsed, rss, wasm: pyodide._module.HEAP8.length });
      }
      if (sent % 4 === 0) await guarded({ [PROOF]: known }, 200);
      if (sent % 4 === 1) await guarded({ [PROOF]: await team.token() }, 200);
      if (sent % 4 === 2) await guarded({}, 403);
      if (sent % 4 === 3) await guarded({ [PROOF]: `${sent}`.padEnd(sent % 16384, ".") }, 403);
    }
    return samples;
  },

  /** Milliseconds of the first request in a new interpreter, and medians of later ones. */
  async tools(pyodide) {
    const team = await access();
    const guarded = door(pyodide, "entry", team.env);
    const proof = { [PROOF]: await team.token() };
    const prefix = "io.modelcontextprotocol/";
    const [name, version, method] = ["whoami", "2026-07-28", "tools/call"];
    const _meta = { [`${prefix}protocolVersion`]: version, [`${prefix}clientCapabilities`]: {} };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { name, _meta } });
    const said = { "MCP-Protocol-Version": version, "Mcp-Method": method, "Mcp-Name": name };
    const headers = { ...proof, ...said, "Content-Type": "application/json" };
    const kinds = {
      "a tool": () => guarded(headers, 200, "/mcp", { method: "POST", body }),
      "a route": () => guarded(proof, 200),
      "no route": () => guarded(proof, 404, "/nothing"),
    };
    const times = {};
    for (let round = -job.warmup; round < job.rounds; round++) {
      for (const kind of round === -job.warmup ? [job.first] : shuffle(Object.keys(kinds))) {
        const before = performance.now();
        await kinds[kind]();
        const took = performance.now() - before;
        if (round === -job.warmup) times.first = [took];
        if (round >= 0) (times[kind] ??= []).push(took);
      }
    }
    return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
  },

  /** Milliseconds to import one module in an interpreter that is new. */
  async import(pyodide) {
    const before = performance.now();
    pyodide.pyimport(job.module);
    return performance.now() - before;
  },

  /** Median microseconds of each step of a new token. */
  async steps(pyodide) {
    const team = await access();
    const request = new Request(ADDRESS, { headers: { [PROOF]: await team.token() } });
    const { steps } = pyodide.pyimport("steps");
    return JSON.parse(await steps(request, team.env, team.jwk.n, () => Promise.resolve()));
  },
};

console.log = () => {}; // the guard's line for each decision
const result = await modes[job.mode](await start());
process.stdout.write(JSON.stringify(result) + "\n", () => process.exit(0));
