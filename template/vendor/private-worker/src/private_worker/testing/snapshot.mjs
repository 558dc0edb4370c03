//
// JavaScript as Python finds it, and what a deploy does with it: after the import of the Worker it
// takes a snapshot of Python's memory. JavaScript's objects are not in there. What was reached from
// the globals is found again by its path; for anything else a deploy fails, and so does `load`.

import { current, isPython } from "./context.mjs";

const PATH = Symbol("path"); // there is a path to this object
const REAL = Symbol("real");

const importing = () => Boolean(current()?.importing);
const isObject = (value) => (typeof value === "object" || typeof value === "function") && value !== null;

const refused = (words) =>
  Object.freeze(() => {
    throw new WebAssembly.CompileError(`${words}: Wasm code generation disallowed by embedder`);
  });

/** What makes code from text: for wrangler, whose stores a Worker calls, but not for a Worker. */
function withoutText(real) {
  const refuse = () => {
    if (!current()) return;
    const caller = new Error().stack.split("\n").find((line, at) => at > 0 && !line.includes(import.meta.url));
    if (/node_modules.(?!pyodide)/.test(caller)) return;
    throw new EvalError("Code generation from strings disallowed for this context");
  };
  return new Proxy(real, {
    apply: (target, self, args) => (refuse(), Reflect.apply(target, self, args)),
    construct: (target, args, newTarget) => (refuse(), Reflect.construct(target, args, newTarget)),
  });
}
for (const made of [() => {}, async () => {}, function* () {}, async function* () {}]) {
  const prototype = Object.getPrototypeOf(made);
  const value = withoutText(prototype.constructor);
  Object.defineProperty(prototype, "constructor", { value });
  if (value.name === "Function") globalThis.Function = value;
}

/** WebAssembly for Python, which gets no further than its name. Pyodide itself has the real one. */
const NO_WEBASSEMBLY = Object.assign(Object.create(WebAssembly), {
  Module: class Module {
    constructor() {
      refused("WebAssembly.Module()")();
    }
  },
  compile: async () => refused("WebAssembly.compile()")(),
  instantiate: async () => refused("WebAssembly.instantiate()")(),
  compileStreaming: undefined, // neither is there in workerd
  instantiateStreaming: undefined,
});

const EVAL = withoutText(eval);
const added = new Set(); // globals of the Worker's own

/** An object that has a path. While the Worker is imported, all that is read from it has one, too. */
export function named(real) {
  const proxy = new Proxy(real, {
    get(target, name, receiver) {
      // An object whose prototype this is has no path of its own.
      if (name === PATH) return receiver === proxy && importing();
      if (name === REAL) return receiver === proxy ? target : undefined;
      if (target === globalThis) {
        if (name === "WebAssembly") return NO_WEBASSEMBLY;
        if (name === "eval") return EVAL;
        if (name === "globalThis" || name === "global" || name === "self") return receiver;
      }
      if (!importing()) return Reflect.get(target, name);
      const value = get(target, name, target === globalThis ? target : receiver);
      const own = Reflect.getOwnPropertyDescriptor(target, name);
      const fixed = own && (own.set ? !own.get : own.writable === false && !own.configurable);
      return fixed || !isObject(value) || isPython(value) ? value : named(value);
    },
    set(target, name, value) {
      if (target === globalThis && !(name in target)) added.add(name);
      return Reflect.set(target, name, value);
    },
    apply: (target, self, args) => Reflect.apply(target, self?.[REAL] ?? self, args),
    getPrototypeOf(target) {
      const prototype = Reflect.getPrototypeOf(target);
      return importing() && prototype ? named(prototype) : prototype;
    },
  });
  return proxy;
}

/** As there, `crypto.subtle` cannot be read through such a name. Node's words are others. */
function get(target, name, receiver) {
  try {
    return Reflect.get(target, name, receiver);
  } catch (error) {
    if (error?.code !== "ERR_INVALID_THIS") throw error;
    throw new TypeError(`Illegal invocation: while a deploy imports the Worker there is no ${name}; use it within a handler`);
  }
}

/** Forgets what a Worker has put into JavaScript's globals. */
export function cleanGlobals() {
  for (const name of added) delete globalThis[name];
  added.clear();
}

/** Python's references to JavaScript objects, by their place in Pyodide's table. */
function references(pyodide) {
  const all = [];
  try {
    for (;;) all.push(pyodide._module.__hiwire_get(all.length));
  } catch {
    return all; // the table has ended
  }
}

/** Of one import at a time: `begin`, the import, `find`, `end`, with nothing else in between. */
export class Snapshot {
  known = new Set(); // what the runtime has for Python, and finds again
  found = new Set(); // what a deploy could not keep
  #pyodide;
  #before;
  #named;
  #refused = new WeakSet(); // what failed a load and may be there still
  constructor(pyodide) {
    this.#pyodide = pyodide;
  }
  begin() {
    this.#before = references(this.#pyodide);
  }
  find() {
    const news = (value, at) => value !== this.#before[at] || (isObject(value) && this.#refused.has(value));
    const all = references(this.#pyodide).filter((value, at) => news(value, at) && !this.#isNamed(value));
    this.found = new Set(all);
    this.#named = undefined;
    for (const value of this.found) if (isObject(value)) this.#refused.add(value);
    return this.found.size > 0;
  }
  /** What the one is that `isUnnamed` said yes to, and else the first of them. */
  kind() {
    const { value } = this.#named ?? { value: [...this.found][0] };
    return value?.constructor?.name ?? typeof value;
  }
  isUnnamed(value) {
    const found = this.found.has(value);
    if (found) this.#named = { value };
    return found;
  }
  #isNamed(value) {
    const { _api: api } = this.#pyodide;
    if (value == null || [this.#pyodide, api, api.abortSignalAny].includes(value)) return true;
    return this.known.has(value) || value instanceof Promise || read(value, PATH) === true;
  }
  /** From here on Python has the real objects, as where a snapshot is restored. */
  end() {
    for (const [at, value] of references(this.#pyodide).entries()) {
      const real = isObject(value) && value !== this.#before[at] ? read(value, REAL) : undefined;
      if (real && real !== globalThis) this.#pyodide._module.__hiwire_set(at, real);
    }
  }
}

/** A mark of such an object. Some others, such as stubs of stores that are closed, refuse all. */
function read(value, mark) {
  try {
    return value[mark];
  } catch {
    return undefined;
  }
}
