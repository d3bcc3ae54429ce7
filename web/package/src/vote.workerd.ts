// The entry of votes and grades for workerd, which gets modules by import alone.

import init, * as bindings from "../wasm/vote/conclave_web.js";
import module from "../wasm/vote/conclave_web_bg.wasm";
import { voteModule } from "./votes.js";
import type { VoteModule } from "./wasm.js";

voteModule.set(async () => {
  await init({ module_or_path: module });
  return bindings as unknown as VoteModule;
});

export * from "./vote-api.js";
