// Candidates as users give them, checked and made plain: only what the module reads, nothing with a getter.

import { AggregatorError } from "./errors.js";
import type { Candidate } from "./types.js";

type PlainCandidate = Exclude<Candidate, string>;

/** Checks every candidate; the error names the first that is none. */
export function readCandidates(candidates: readonly Candidate[]): PlainCandidate[] {
  if (!Array.isArray(candidates)) throw new AggregatorError("input", "candidates: expected an array");
  return candidates.map((candidate: unknown, index) => {
    try {
      if (typeof candidate === "string") return { text: candidate };
      const { text, model, finish_reason } = candidate as Record<string, unknown>;
      const isText = (value: unknown) => value === undefined || value === null || typeof value === "string";
      if (typeof text === "string" && isText(model) && isText(finish_reason)) {
        return {
          text,
          ...(typeof model === "string" && { model }),
          ...(typeof finish_reason === "string" && { finish_reason }),
        };
      }
    } catch {}
    throw new AggregatorError("input", `candidates[${index}]: expected a string or an object with a \`text\``);
  });
}
