//
// Pyodide as it is right after its start, kept from an earlier run: one second instead of five.
// Cloudflare starts Workers from such a snapshot, too.

import fs from "node:fs";

/** As loadPyodide. `file` is where the snapshot is or will be. */
export async function startPyodide(loadPyodide, options, file) {
  const start = async () => loadPyodide({ ...options, _loadSnapshot: fs.readFileSync(file) });
  try {
    return await start();
  } catch {
    // There is none yet, or it is broken. What makes one sees a stand-in for JavaScript's globals,
    // so it does nothing else.
    const maker = await loadPyodide({ env: options.env, _makeSnapshot: true });
    const scratch = `${file}.${process.pid}`; // other processes find all of it or nothing
    fs.writeFileSync(scratch, maker.makeMemorySnapshot());
    fs.renameSync(scratch, file);
    return start();
  }
}
