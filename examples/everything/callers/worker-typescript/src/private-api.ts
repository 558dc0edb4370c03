// Managed by the private-worker template: do not edit, an update replaces it.
//
// The calls to the private API. Copy this file into the Worker that makes them.

/** What every RPC method answers. What goes wrong inside one is an answer, too, and not thrown. */
export type Answer<T> =
  | { ok: true; value: T }
  | {
      ok: false;
      error: "forbidden" | "not_configured" | "bad_request" | "internal_error" | "rate_limited";
      reference?: string;
    };

/**
 * The methods in METHODS of src/internal.py, without their first two parameters. Nothing makes
 * these types from the Python code: in your copy, change them whenever METHODS changes.
 */
export interface Methods {
  whoami(): Promise<Answer<{ kind: "binding"; worker: string }>>;
  greet(name: string): Promise<Answer<string>>;
}

/** The service binding, `env.PRIVATE_API`. */
export type PrivateApi = Fetcher & Methods;

/** The API refused or failed. The log of the API's Worker says why. */
export class PrivateApiError extends Error {
  override name = "PrivateApiError";
}

/** One RPC method. Throws PrivateApiError. */
export async function greet(api: PrivateApi, name: string): Promise<string> {
  return valueOf(await api.greet(name));
}

/** The value in the answer of an RPC method. Throws PrivateApiError if there is none. */
export function valueOf<T>(answer: Answer<T>): T {
  if (!answer.ok) {
    throw new PrivateApiError(`${answer.error} ${answer.reference ?? ""}`.trimEnd());
  }
  return answer.value;
}

/** What is at `path`, read as JSON. Throws PrivateApiError unless the status is 200. */
export async function get(api: PrivateApi, path: string): Promise<unknown> {
  // A URL needs a host. Any will do: the binding decides where the request goes.
  const response = await api.fetch(`https://private-api${path}`);
  if (response.status !== 200) {
    throw new PrivateApiError(`${response.status} ${(await response.text()).slice(0, 200)}`);
  }
  return response.json();
}
