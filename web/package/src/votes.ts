// Votes and grades, on the smallest module.

import { readCandidates } from "./candidates.js";
import { AggregatorError, toAggregatorError } from "./errors.js";
import { LazyModule } from "./lazy.js";
import type { Candidate, Grade, Vote } from "./types.js";
import type { VoteModule } from "./wasm.js";

/** The module of votes alone. */
export const voteModule = new LazyModule<VoteModule>();

/** Groups the answers of the candidates by equivalence and counts them. */
export async function majorityVote(candidates: readonly Candidate[]): Promise<Vote> {
  const plain = readCandidates(candidates);
  const { majorityVote } = await voteModule.get();
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
  const { grade } = await voteModule.get();
  try {
    return grade(reference, prediction);
  } catch (error) {
    throw toAggregatorError(error);
  }
}
