//
// A Python exception of which only the text is left: that of its traceback.

/** The class in the line after the last frame, or null. */
export function typeIn(text) {
  if (!text.includes("Traceback (most recent call last)")) return null;
  const lines = text.split("\n");
  const last = lines[lines.findLastIndex((line) => line.startsWith("  ")) + 1] ?? "";
  return /^[\w.]*?(\w+)(:|$)/.exec(last)?.[1] ?? null;
}
