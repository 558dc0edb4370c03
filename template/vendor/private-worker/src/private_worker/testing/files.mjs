//
// The Worker's files: Python's in Pyodide's file system, JavaScript's as modules of Node.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

let FS; // Pyodide's

export function useFiles(pyodide) {
  FS = pyodide.FS;
}

const copied = new Map(); // path in Pyodide -> content, of the Worker's own files

let writes = 0;

export function write(name, content) {
  FS.mkdirTree(path.posix.dirname(name));
  FS.writeFile(name, content);
  // Python tells by this time whether its cached bytecode is still right; seconds are too coarse.
  const time = ++writes * 1000;
  FS.utime(name, time, time);
}

/** Brings Pyodide's copies up to date; `sources` maps a folder there to one on disk. */
export function copySources(sources) {
  const wanted = new Set();
  for (const [home, root] of sources) {
    for (const entry of fs.readdirSync(root, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath, entry.name);
      if (!entry.isFile() || file.includes("__pycache__")) continue;
      const name = path.posix.join(home, ...path.relative(root, file).split(path.sep));
      const content = fs.readFileSync(file);
      wanted.add(name);
      if (!copied.get(name)?.equals(content)) write(name, content);
      copied.set(name, content);
    }
  }
  for (const name of copied.keys()) {
    if (!wanted.has(name) && copied.delete(name)) FS.unlink(name);
  }
}

/** A Worker in TypeScript or JavaScript, bundled by wrangler's own esbuild as for a deploy. */
export async function importScript(nodeModules, main) {
  const { buildSync } = createRequire(path.join(nodeModules, "wrangler", "package.json"))("esbuild");
  const options = { bundle: true, format: "esm", target: "es2024", write: false, logLevel: "silent" };
  const [bundle] = buildSync({ entryPoints: [main], ...options }).outputFiles;
  // The number makes it a new module each time, with fresh state.
  return importText(`${bundle.text}\n//${++writes}`);
}

export function importText(source) {
  return import(`data:text/javascript;base64,${Buffer.from(source).toString("base64")}`);
}
