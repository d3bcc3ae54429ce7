// workerd (Cloudflare Workers): modules can only be imported, not compiled; no WebGPU, no workers, no lasting storage.

import init, * as bindings from "../../wasm/cpu/conclave_web.js";
import module from "../../wasm/cpu/conclave_web_bg.wasm";
import type { EngineModule } from "../wasm.js";
import { once } from "./once.js";
import type { Platform } from "./platform.js";

export const workerd: Omit<Platform, "network"> = {
  // Not at the top level: there workerd has neither randomness nor input and output.
  loadModule: once(async () => {
    await init({ module_or_path: module });
    return bindings as unknown as EngineModule;
  }),
  gpu: undefined,
  storage: {},
  base: undefined,
  startWorker: undefined,
};
