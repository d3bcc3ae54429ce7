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
      const module = bindings as unknown as EngineModule & { setBuiltin(fetch: () => Promise<Uint8Array>): void };
      module.setBuiltin(fetchBuiltin);
      return module;
    }),
    gpu: globalGpu(),
    storage: globalStorage(),
    base: globalBase(),
    startWorker,
  };
}

/** The built-in model, which is not in the module: the module is downloaded by many who bring a model of their own. */
async function fetchBuiltin(): Promise<Uint8Array> {
  // Bundlers look for exactly this expression.
  const response = await fetch(new URL("../../wasm/full/builtin.bin", import.meta.url));
  if (!response.ok) throw new Error(`${response.url}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
