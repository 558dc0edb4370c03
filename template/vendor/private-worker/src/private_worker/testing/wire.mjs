//
// Values that cross a border: to runtime.py as JSON, to another entrypoint as a copy.

import { isPython } from "./context.mjs";

export const NULL_BODY = new Set([101, 103, 204, 205, 304]);
// The real ones: host.mjs puts its own in their place.
const [RealDate, RealHeaders, RealRequest, RealResponse] = [Date, Headers, Request, Response];

function cloneError(value) {
  const type = isPython(value) ? "PyProxy" : typeof value;
  const message = `Could not serialize object of type "${type}". This type does not support serialization.`;
  return new DOMException(message, "DataCloneError");
}

/** A value as JSON; what JSON lacks becomes {"$kit": type, ...}. Throws DataCloneError. */
export async function toWire(value) {
  if (value === undefined) return { $kit: "undefined" };
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : { $kit: "float", value: String(value) };
  if (typeof value === "bigint") return { $kit: "int", value: String(value) };
  if (typeof value !== "object") throw cloneError(value);
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value);
    return { $kit: "bytes", value: bytes.toString("base64") };
  }
  if (value instanceof RealDate) return { $kit: "date", value: value.getTime() };
  if (value instanceof Error) return { $kit: "error", value: value.message };
  if (value instanceof RealResponse) {
    return { $kit: "response", status: value.status, headers: [...value.headers], body: await readBody(value) };
  }
  if (value instanceof RealRequest) {
    const { method, url, redirect } = value;
    const body = value.body ? await readBody(value) : null;
    return { $kit: "request", method, url, redirect, headers: [...value.headers], body };
  }
  if (value instanceof RealHeaders) return { $kit: "headers", value: [...value] };
  const list = (values) => Promise.all(Array.from(values, toWire));
  if (Array.isArray(value)) return list(value);
  if (value instanceof Set) return { $kit: "set", value: await list(value) };
  if (value instanceof Map) return { $kit: "map", value: await list(Array.from(value, (pair) => pair)) };
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) throw cloneError(value);
  const pairs = await Promise.all(Object.entries(value).map(async ([k, v]) => [k, await toWire(v)]));
  return Object.fromEntries(pairs);
}

export function fromWire(wire) {
  if (Array.isArray(wire)) return wire.map(fromWire);
  if (wire === null || typeof wire !== "object") return wire;
  const bytes = () => (wire.body === null ? null : new Uint8Array(Buffer.from(wire.body, "base64")));
  switch (wire.$kit) {
    case undefined:
      return Object.fromEntries(Object.entries(wire).map(([k, v]) => [k, fromWire(v)]));
    case "undefined":
      return undefined;
    case "float":
      return Number(wire.value);
    case "int":
      return BigInt(wire.value);
    case "bytes":
      return new Uint8Array(Buffer.from(wire.value, "base64"));
    case "date":
      return new Date(wire.value);
    case "error":
      return new Error(wire.value);
    case "headers":
      return new Headers(wire.value);
    case "set":
      return new Set(wire.value.map(fromWire));
    case "map":
      return new Map(wire.value.map(fromWire));
    case "response":
      return new Response(NULL_BODY.has(wire.status) ? null : bytes(), wire);
    case "request":
      return new Request(wire.url, { ...wire, body: bytes() });
  }
  throw new Error(`unknown type ${wire.$kit}`);
}

async function readBody(object) {
  return Buffer.from(await object.arrayBuffer()).toString("base64");
}
