// Votes and grades, on the smallest module.

import { readCandidate, readCandidates } from "./candidates.js";
import { AggregatorError, toAggregatorError } from "./errors.js";
import { LazyModule } from "./lazy.js";
import type { Candidate, Grade, GradeOptions, Vote, VoteOptions } from "./types.js";
import type { SchemaCheck, VoteModule } from "./wasm.js";

/** The module of votes alone. */
export const voteModule = new LazyModule<VoteModule>();

/** Groups the answers of the candidates and counts them, by what the answers are. */
export async function majorityVote(candidates: readonly Candidate[], options: VoteOptions = {}): Promise<Vote> {
  const plain = readCandidates(candidates);
  const module = await voteModule.get();
  const [plainOptions, check] = await readOptions(options);
  try {
    return module.majorityVote(plain, plainOptions, check);
  } catch (error) {
    throw toAggregatorError(error);
  }
}

/** Whether the answer found in `prediction` is the same as `reference`, or as one of several. */
export async function grade(
  reference: string | readonly string[],
  prediction: Candidate,
  options: GradeOptions = {},
): Promise<Grade> {
  const isList = Array.isArray(reference) && reference.length > 0 && reference.every((one) => typeof one === "string");
  if (typeof reference !== "string" && !isList) throw new AggregatorError("input", "reference: expected a string");
  if (typeof prediction !== "string" && (typeof prediction !== "object" || prediction === null)) {
    throw new AggregatorError("input", "prediction: expected a string");
  }
  const plain = typeof prediction === "string" ? prediction : readCandidate(prediction, "prediction");
  const module = await voteModule.get();
  const [plainOptions, check] = await readOptions(options);
  try {
    return module.grade(reference, plain, plainOptions, check);
  } catch (error) {
    throw toAggregatorError(error);
  }
}

/** The options for the module, which looks into them, and the check of records where there is a schema for it. */
async function readOptions(options: VoteOptions): Promise<[options: unknown, check: SchemaCheck | undefined]> {
  if (typeof options !== "object" || options === null) throw new AggregatorError("input", "options: expected an object");
  const { schema, ...others } = options;
  if (schema === undefined || schema === null) return [others, undefined];
  // The checker is loaded where there is something to check.
  const { schemaCheck } = await import("./schema.js");
  return [{ ...others, schema: true }, await schemaCheck(schema)];
}
