// The entry of candidates of live APIs for workerd, which gets modules by import alone.

import init, * as bindings from "../wasm/client/conclave_web.js";
import module from "../wasm/client/conclave_web_bg.wasm";
import { clientModule } from "./sample.js";
import type { ClientModule } from "./wasm.js";

clientModule.set(async () => {
  await init({ module_or_path: module });
  return bindings as unknown as ClientModule;
});

export * from "./client-api.js";
