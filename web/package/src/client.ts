// The entry of candidates of live APIs for browsers and Deno.

import init, * as bindings from "../wasm/client/conclave_web.js";
import { clientModule } from "./sample.js";
import type { ClientModule } from "./wasm.js";

clientModule.set(async () => {
  await init();
  return bindings as unknown as ClientModule;
});

export * from "./client-api.js";
