// The entry of votes and grades for Node.js.

import init, * as bindings from "../wasm/vote/conclave_web.js";
import { voteModule } from "./votes.js";
import type { VoteModule } from "./wasm.js";

voteModule.set(async () => {
  // Node's fetch reads no files; the import is by a variable, so that no types of Node.js are needed.
  const name = "node:fs/promises";
  const { readFile } = (await import(name)) as { readFile(url: URL): Promise<Uint8Array> };
  await init({ module_or_path: await readFile(new URL("../wasm/vote/conclave_web_bg.wasm", import.meta.url)) });
  return bindings as unknown as VoteModule;
});

export * from "./vote-api.js";
