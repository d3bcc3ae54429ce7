// The entry for browsers and Deno. The model runs in a module worker.

import { browser } from "./platform/browser.js";
import { setPlatform, type WorkerLike } from "./platform/platform.js";
import "./client.js";
import "./vote.js";

const canStart = typeof Worker !== "undefined";
const start = () =>
  // Bundlers look for exactly this expression.
  new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "conclave" }) as unknown as WorkerLike;

setPlatform(browser(canStart ? start : undefined));

export * from "./api.js";
