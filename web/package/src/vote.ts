// The small entry for browsers and Deno: what needs no model.

import init, * as bindings from "../wasm/vote/conclave_web.js";
import { setVoteModule } from "./votes.js";
import type { VoteModule } from "./wasm.js";

setVoteModule(async () => {
  await init();
  return bindings as unknown as VoteModule;
});

export * from "./vote-api.js";
