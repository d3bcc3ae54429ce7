// Browsers: the full module, whose bindings find it beside themselves (a form that bundlers know).

import init, * as bindings from "../../wasm/full/conclave_web.js";
import { globalStorage } from "../cache/open.js";
import type { EngineModule } from "../wasm.js";
import { type Platform, globalBase, globalGpu } from "./platform.js";
import { once } from "./once.js";

export function browser(startWorker: Platform["startWorker"]): Omit<Platform, "network"> {
  return {
    loadModule: once(async () => {
      await init();
      return bindings as unknown as EngineModule;
    }),
    gpu: globalGpu(),
    storage: globalStorage(),
    base: globalBase(),
    startWorker,
  };
}
