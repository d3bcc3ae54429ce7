// The entry of votes and grades for browsers and Deno.

import init, * as bindings from "../wasm/vote/conclave_web.js";
import { voteModule } from "./votes.js";
import type { VoteModule } from "./wasm.js";

voteModule.set(async () => {
  await init();
  return bindings as unknown as VoteModule;
});

export * from "./vote-api.js";
