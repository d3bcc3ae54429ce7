// Node.js: no WebGPU and no workers of the web; its fetch does not read files, so the module is read by hand.

import init, * as bindings from "../../wasm/cpu/conclave_web.js";
import type { EngineModule } from "../wasm.js";
import { once } from "./once.js";
import type { Platform } from "./platform.js";

export const node: Omit<Platform, "network"> = {
  loadModule: once(async () => {
    // By a variable, so that no types of Node.js are needed.
    const name = "node:fs/promises";
    const { readFile } = (await import(name)) as { readFile(url: URL): Promise<Uint8Array> };
    await init({ module_or_path: await readFile(new URL("../../wasm/cpu/conclave_web_bg.wasm", import.meta.url)) });
    return bindings as unknown as EngineModule;
  }),
  gpu: undefined,
  storage: {},
  base: undefined,
  startWorker: undefined,
};
