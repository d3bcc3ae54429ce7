// The small module, and votes and grades on it: what needs no model.

import { AggregatorError, toAggregatorError } from "./errors.js";
import { readCandidates } from "./candidates.js";
import type { Candidate, Grade, Vote } from "./types.js";
import type { VoteModule } from "./wasm.js";

let load: (() => Promise<VoteModule>) | undefined;
let loading: Promise<VoteModule> | undefined;

/** Says how the module is instantiated here. Each entry of the package does so once. */
export function setVoteModule(loader: () => Promise<VoteModule>): void {
  load = loader;
}

/** The module, loaded at the first use; after a failure the next use tries again. */
export async function voteModule(): Promise<VoteModule> {
  if (load === undefined) throw new Error("this module is reached only through an entry of the package");
  loading ??= load();
  try {
    return await loading;
  } catch (cause) {
    loading = undefined;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const remedy = "Check that the package's .wasm files are served, and that a CSP has 'wasm-unsafe-eval'.";
    throw new AggregatorError("unsupported", `the wasm module cannot be started (${reason})`, { cause, remedy });
  }
}

/** Groups the answers of the candidates by equivalence and counts them. */
export async function majorityVote(candidates: readonly Candidate[]): Promise<Vote> {
  const plain = readCandidates(candidates);
  const { majorityVote } = await voteModule();
  try {
    return majorityVote(plain);
  } catch (error) {
    throw toAggregatorError(error);
  }
}

/** Whether the answer found in `prediction` is equivalent to `reference`. */
export async function grade(reference: string, prediction: string): Promise<Grade> {
  for (const [name, value] of Object.entries({ reference, prediction })) {
    if (typeof value !== "string") throw new AggregatorError("input", `${name}: expected a string`);
  }
  const { grade } = await voteModule();
  try {
    return grade(reference, prediction);
  } catch (error) {
    throw toAggregatorError(error);
  }
}
