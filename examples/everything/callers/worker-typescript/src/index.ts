// Managed by the private-worker template: do not edit, an update replaces it.
//
// A Worker that calls the private API once a day. To change it, copy this folder elsewhere.
//
// It answers no requests: whoever could send it one would reach the API through it and under its
// name. If your Worker takes requests, decide there who may send them before you call on.

import { get, greet, type PrivateApi } from "./private-api";

interface Env {
  PRIVATE_API: PrivateApi;
  NAME: string;
  API_PATH: string;
}

export default {
  /** What the Cron Trigger starts. An exception marks the run as failed. */
  async scheduled(_controller, env): Promise<void> {
    const greeting = await greet(env.PRIVATE_API, env.NAME);
    console.log(JSON.stringify({ event: "greeting", value: greeting }));
    const answer = await get(env.PRIVATE_API, env.API_PATH);
    console.log(JSON.stringify({ event: "answer", value: answer }));
  },
} satisfies ExportedHandler<Env>;
