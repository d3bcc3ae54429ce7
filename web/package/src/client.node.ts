// The entry of candidates of live APIs for Node.js.

import init, * as bindings from "../wasm/client/conclave_web.js";
import { clientModule } from "./sample.js";
import type { ClientModule } from "./wasm.js";

clientModule.set(async () => {
  // Node's fetch reads no files; the import is by a variable, so that no types of Node.js are needed.
  const name = "node:fs/promises";
  const { readFile } = (await import(name)) as { readFile(url: URL): Promise<Uint8Array> };
  await init({ module_or_path: await readFile(new URL("../wasm/client/conclave_web_bg.wasm", import.meta.url)) });
  return bindings as unknown as ClientModule;
});

export * from "./client-api.js";
