// Candidates as users give them, checked and made plain: only what the module reads, nothing with a getter.

import { AggregatorError } from "./errors.js";
import type { Candidate, CandidateObject } from "./types.js";

/** What an answer of an API has, beside its text or instead of it. */
const OTHERS = ["content", "tool_calls", "function_call", "refusal", "error"] as const;

/** Checks every candidate; the error names the first that is none. */
export function readCandidates(candidates: readonly Candidate[]): CandidateObject[] {
  if (!Array.isArray(candidates)) throw new AggregatorError("input", "candidates: expected an array");
  return candidates.map((candidate: unknown, index) => readCandidate(candidate, `candidates[${index}]`));
}

/** Checks one; `name` is what the error calls it. */
export function readCandidate(candidate: unknown, name: string): CandidateObject {
  try {
    if (typeof candidate === "string") return { text: candidate };
    const given = candidate as Record<string, unknown>;
    const { text, model, finish_reason } = given;
    const isText = (value: unknown) => value === undefined || value === null || typeof value === "string";
    const others: Record<string, unknown> = {};
    for (const name of OTHERS) {
      const value = given[name];
      if (value !== undefined) others[name] = JSON.parse(JSON.stringify(value));
    }
    const isAny = typeof text === "string" || Object.keys(others).length > 0;
    if (isAny && isText(text) && isText(model) && isText(finish_reason)) {
      return {
        ...(typeof text === "string" && { text }),
        ...(typeof model === "string" && { model }),
        ...(typeof finish_reason === "string" && { finish_reason }),
        ...others,
      };
    }
  } catch {}
  throw new AggregatorError("input", `${name}: expected a string or an object with a \`text\``);
}
