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

/** A file that the Worker can read and not write, as all that is deployed. */
export function write(name, content) {
  writing(() => {
    const folder = path.posix.dirname(name);
    FS.mkdirTree(folder);
    if (copied.has(name)) FS.chmod(name, 0o644);
    FS.writeFile(name, content);
    // Python tells by this time whether its cached bytecode is still right; seconds are too coarse.
    const time = ++writes * 1000;
    FS.utime(name, time, time);
    FS.chmod(name, 0o444);
    FS.chmod(folder, 0o555);
  });
}

function writing(work) {
  FS.ignorePermissions = true;
  try {
    work();
  } finally {
    FS.ignorePermissions = false;
  }
}

/**
 * Brings Pyodide's copies up to date. Each source is {home, root, files}: a folder there, one on
 * disk, and what to take of it (all, if that is null).
 */
export function copySources(sources) {
  const wanted = new Set();
  for (const { home, root, files } of sources) {
    for (const relative of files ?? fs.readdirSync(root, { recursive: true })) {
      const file = path.join(root, relative);
      if (file.includes("__pycache__") || !fs.statSync(file).isFile()) continue;
      const name = path.posix.join(home, ...relative.split(path.sep));
      const content = fs.readFileSync(file);
      wanted.add(name);
      if (!copied.get(name)?.equals(content)) write(name, content);
      copied.set(name, content);
    }
  }
  for (const name of copied.keys()) {
    if (!wanted.has(name) && copied.delete(name)) writing(() => FS.unlink(name));
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
