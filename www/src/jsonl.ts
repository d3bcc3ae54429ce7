// Files of sample sets and results, one JSON object a line: reading with every bad line reported by its number, and
// writing. The rules are those of the command line (`crates/core/src/sample_set.rs`), so that a file good here is good there.

import type { Candidate, Cluster, FieldVote, Method, ResultLine, SampleSet } from "./sample-set.ts";

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
  if (Array.isArray(value)) throw new Error(`${where}expected a text or an object {"text": "..."}, found an array`);
  if (!isObject(value)) return { text: textOf(value) };
  try {
    const { text, model, finish_reason, ...extra } = value;
    const known = { model: optionalText(model, "model"), finish: optionalText(finish_reason, "finish_reason") };
    // The name that chat APIs have for it, where there is no other.
    const said = text === undefined ? extra["content"] : text;
    if (text === undefined) delete extra["content"];
    if (said === undefined && !WITHOUT_TEXT.some((name) => name in value)) {
      throw new Error("`text`: missing; expected a string");
    }
    return {
      text: textOf(said),
      ...(known.model === undefined ? {} : { model: known.model }),
      ...(known.finish === undefined ? {} : { finish_reason: known.finish }),
      ...extra,
    };
  } catch (error) {
    throw new Error(where + (error instanceof Error ? error.message : String(error)));
  }
}

/** What an answer of an API holds where it has no text: calls, a thought, a refusal, an error. */
const WITHOUT_TEXT = [
  "tool_calls",
  "function_call",
  "reasoning_content",
  "reasoning",
  "refusal",
  "error",
  "finish_reason",
];

/** The text of a value that is meant as one. Null is no text; an object is its JSON, parts of a message are joined. */
function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number") return numberText(value, "text");
  const isParts = Array.isArray(value) && value.length > 0 && value.every((part) => isObject(part) && typeof part["type"] === "string");
  if (!isParts) return JSON.stringify(value);
  return (value as Fields[]).map(({ text }) => (typeof text === "string" ? text : "")).join("");
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
  const { omitted_candidates, unknown_words, answer_kind, abstained, fields, error, ...rest } = others;
  const reference = reference_answer === undefined ? undefined : referenceText(reference_answer, String(id));
  return {
    id: typeof id === "number" ? numberText(id, "id") : requiredText(id, "id"),
    answer,
    method: method as Method,
    confidence: number(confidence),
    confidence_kind: typeof confidence_kind === "string" ? confidence_kind : "",
    ...(typeof answer_kind === "string" ? { answer_kind } : {}),
    ...(typeof abstained === "string" ? { abstained } : {}),
    ...(Array.isArray(fields) ? { fields: fields.map(readField) } : {}),
    ...(typeof error === "string" ? { error } : {}),
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
    ...(reference === undefined ? {} : { reference_answer: reference }),
    ...(typeof num_candidates === "number" ? { num_candidates } : {}),
    ...rest,
  };
}

function readField(value: unknown, index: number): FieldVote {
  const where = `field ${index + 1}: `;
  if (!isObject(value)) throw new Error(`${where}expected an object, found ${kind(value)}`);
  const { path, votes, share, review, others } = value;
  const lists = Array.isArray(others) ? others.filter((other): other is unknown[] => Array.isArray(other)) : undefined;
  return {
    path: requiredText(path, "path"),
    ...("value" in value ? { value: value["value"] } : {}),
    votes: number(votes),
    share: number(share),
    review: review === true,
    ...(lists === undefined ? {} : { others: lists }),
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

/** One answer, or several of which any is right; null and an empty list are none. */
function referenceText(value: unknown, id: string): string | string[] | undefined {
  if (!Array.isArray(value)) return value === undefined || value === null ? undefined : oneReference(value, id);
  const all = value.filter((one) => one !== null).map((one: unknown) => oneReference(one, id));
  return all.length > 1 ? all : all[0];
}

/** A text, number, true or false; a record as its JSON; of a worked solution in the style of GSM8K what stands behind `####`. */
function oneReference(value: unknown, id: string): string {
  const where = `\`reference_answer\` of set \`${clip(id, 60)}\``;
  if (typeof value === "number") return numberText(value, "reference_answer");
  if (Array.isArray(value)) throw new Error(`${where}: expected a text, found a list within a list`);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const isMarked = text.trimStart().startsWith("####") || text.includes("\n####");
  const answer = isMarked ? text.slice(text.lastIndexOf("####") + 4).trim() : text;
  if (answer.trim() === "") throw new Error(`${where} is empty: leave the field out where there is none`);
  return answer;
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
