// Files of sample sets and results, one JSON object a line: reading with every bad line reported by its number, and
// writing. The rules are those of the command line (`crates/core/src/sample_set.rs`), so that a file good here is good there.

import type { Candidate, Cluster, Method, ResultLine, SampleSet } from "./sample-set.ts";

/** A line that could not be used, and why. */
export interface BadLine {
  /** From 1. */
  line: number;
  reason: string;
}

export interface Reading {
  sets: SampleSet[];
  results: ResultLine[];
  bad: BadLine[];
}

type Fields = Record<string, unknown>;

/** Larger files belong to the command line: a page would hold them several times over. */
export const MOST_BYTES = 64 * 1024 * 1024;

/** Reads a file. It never throws: what cannot be used is in `bad`. */
export function readJsonl(bytes: Uint8Array): Reading {
  const reading: Reading = { sets: [], results: [], bad: [] };
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let line = 0;
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    line += 1;
    try {
      readLine(decode(decoder, bytes.subarray(start, end)), reading);
    } catch (error) {
      reading.bad.push({ line, reason: error instanceof Error ? error.message : String(error) });
    }
    start = end + 1;
  }
  return reading;
}

export function readJsonlText(text: string): Reading {
  return readJsonl(new TextEncoder().encode(text));
}

/** Sets and results, one a line. */
export function writeJsonl(lines: (SampleSet | ResultLine)[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

function decode(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes).trim();
  } catch {
    throw new Error("not UTF-8: convert the file to UTF-8");
  }
}

function readLine(text: string, reading: Reading): void {
  if (text === "") return;
  const value = parse(text);
  if (!isObject(value)) {
    throw new Error(`expected an object with \`id\`, \`problem\` and \`candidates\`, found ${kind(value)}`);
  }
  // Results have no problem, sample sets no method.
  if ("method" in value && "clusters" in value && !("problem" in value)) reading.results.push(readResult(value));
  else reading.sets.push(readSet(value));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // The engine's message may quote the line, which may be megabytes long.
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`not JSON: ${clip(message, 120)} (expected one JSON object a line)`);
  }
}

function readSet(value: Fields): SampleSet {
  const { id, problem, reference_answer, candidates, ...extra } = value;
  if (candidates === undefined) throw new Error("`candidates`: missing; expected an array (it may be empty)");
  if (!Array.isArray(candidates)) throw new Error(`\`candidates\`: expected an array, found ${kind(candidates)}`);
  const name = typeof id === "number" ? numberText(id, "id") : requiredText(id, "id");
  const reference = referenceText(reference_answer, name);
  return {
    id: name,
    problem: requiredText(problem, "problem"),
    ...(reference === undefined ? {} : { reference_answer: reference }),
    candidates: candidates.map(readCandidate),
    ...extra,
  };
}

function readCandidate(value: unknown, index: number): Candidate {
  const where = `candidate ${index + 1}: `;
  if (!isObject(value)) throw new Error(`${where}expected an object {"text": "..."}, found ${kind(value)}`);
  try {
    const { text, model, finish_reason, ...extra } = value;
    const known = { model: optionalText(model, "model"), finish: optionalText(finish_reason, "finish_reason") };
    return {
      text: requiredText(text, "text"),
      ...(known.model === undefined ? {} : { model: known.model }),
      ...(known.finish === undefined ? {} : { finish_reason: known.finish }),
      ...extra,
    };
  } catch (error) {
    throw new Error(where + (error instanceof Error ? error.message : String(error)));
  }
}

const METHODS: readonly string[] = ["vote", "select", "generate"] satisfies Method[];

function readResult(value: Fields): ResultLine {
  const { id, answer, method, confidence, confidence_kind, clusters, completion, usage, elapsed_ms, ...extra } = value;
  if (typeof method !== "string" || !METHODS.includes(method)) {
    throw new Error("`method`: expected vote, select or generate");
  }
  if (answer !== null && typeof answer !== "string") throw new Error("`answer`: expected a string or null");
  if (!Array.isArray(clusters)) throw new Error(`\`clusters\`: expected an array, found ${kind(clusters)}`);
  const counts = isObject(usage) ? usage : {};
  const { time_to_first_token_ms, device, model, correct, reference_answer, num_candidates, ...others } = extra;
  const { omitted_candidates, unknown_words, ...rest } = others;
  return {
    id: typeof id === "number" ? numberText(id, "id") : requiredText(id, "id"),
    answer,
    method: method as Method,
    confidence: number(confidence),
    confidence_kind: typeof confidence_kind === "string" ? confidence_kind : "",
    clusters: clusters.map(readCluster),
    usage: { prompt_tokens: number(counts["prompt_tokens"]), completion_tokens: number(counts["completion_tokens"]) },
    elapsed_ms: number(elapsed_ms),
    ...(typeof completion === "string" ? { completion } : {}),
    ...(typeof time_to_first_token_ms === "number" ? { time_to_first_token_ms } : {}),
    ...(typeof device === "string" ? { device } : {}),
    ...(typeof model === "string" ? { model } : {}),
    ...(typeof omitted_candidates === "number" ? { omitted_candidates } : {}),
    ...(typeof unknown_words === "number" ? { unknown_words } : {}),
    ...(typeof correct === "boolean" ? { correct } : {}),
    ...(typeof reference_answer === "string" ? { reference_answer } : {}),
    ...(typeof num_candidates === "number" ? { num_candidates } : {}),
    ...rest,
  };
}

function readCluster(value: unknown, index: number): Cluster {
  const where = `cluster ${index + 1}: `;
  if (!isObject(value)) throw new Error(`${where}expected an object, found ${kind(value)}`);
  const { answer, votes, share, candidates, log_prob } = value;
  if (!Array.isArray(candidates) || !candidates.every((at) => Number.isSafeInteger(at) && (at as number) >= 0)) {
    throw new Error(`${where}\`candidates\`: expected an array of indices`);
  }
  if (typeof answer !== "string") throw new Error(`${where}\`answer\`: expected a string, found ${kind(answer)}`);
  return {
    answer,
    votes: typeof votes === "number" ? votes : candidates.length,
    share: number(share),
    candidates: candidates as number[],
    ...(typeof log_prob === "number" ? { log_prob } : {}),
  };
}

function referenceText(value: unknown, id: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number") return numberText(value, "reference_answer");
  if (typeof value !== "string") {
    throw new Error(`\`reference_answer\`: expected a string or a number, found ${kind(value)}`);
  }
  const name = clip(id, 60);
  if (value.trimStart().startsWith("#")) {
    throw new Error(
      `\`reference_answer\` of set \`${name}\` starts with \`#\`: expected the final answer alone; ` +
        "of a last line such as `#### 18` keep only what follows the mark",
    );
  }
  if (value.trim() === "") {
    throw new Error(`\`reference_answer\` of set \`${name}\` is empty: leave the field out where there is none`);
  }
  return value;
}

function requiredText(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  if (value === undefined) throw new Error(`\`${field}\`: missing; expected a string`);
  throw new Error(`\`${field}\`: expected a string, found ${kind(value)}`);
}

function optionalText(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  throw new Error(`\`${field}\`: expected a string or null, found ${kind(value)}`);
}

/** Numbers are read as their text, where their digits are certain. */
function numberText(value: number, field: string): string {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return String(value);
  throw new Error(`\`${field}\`: the number ${value} is too large to be read exactly: write it as a string`);
}

function number(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kind(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "boolean") return "true or false";
  if (typeof value === "number") return "a number";
  if (typeof value === "string") return "a string";
  return Array.isArray(value) ? "an array" : "an object";
}

function clip(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
