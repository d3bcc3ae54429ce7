// The names that a user of the package sees.

import type { AggregatorError } from "./errors.js";

/** Where the model computes. */
export type Device = "auto" | "webgpu" | "cpu";

/** What is going on in a load. */
export interface LoadProgress {
  stage: "module" | "download" | "verify" | "weights" | "self-test";
  /** The file that this is about, where it is about one. */
  file?: string;
  /** Bytes (parameters for "weights", cases for "self-test", 0 or 1 for "module") so far. */
  loaded: number;
  /** In all; 0 where it is not known yet. */
  total: number;
}

/** How to load a model. */
export interface LoadOptions {
  /** URL of a model directory, or "builtin", the small model within the package, which is the default. */
  model?: string;
  /** Default "auto": WebGPU where it can be used, else cpu (and `info.fallback` says why). */
  device?: Device;
  onProgress?: (progress: LoadProgress) => void;
  /**
   * Stops the load, which rejects with `aborted`: at once, save in the middle of a download, where what has arrived is kept
   * first. A store that does not answer is waited for no longer than 5 seconds.
   */
  signal?: AbortSignal;
  /** Whether the model runs in a worker; by default it does where there are workers. */
  worker?: boolean;
  /** "memory" keeps nothing after the page is closed. Default "auto": OPFS, else the Cache API, else memory. */
  cache?: "auto" | "memory";
  /** Told of what does not stop a load but should be known, such as a full disk. Default: `console.warn`. */
  onWarning?: (message: string) => void;
}

/** A candidate solution: its text, or an object as in a file of sample sets, or a message of an API. */
export type Candidate = string | CandidateObject;

/** A candidate with what is known of it. It has a `text` or a `content`, or calls tools. */
export interface CandidateObject {
  text?: string | null;
  /** The name that chat APIs have for the text. */
  content?: unknown;
  model?: string;
  finish_reason?: string | null;
  /** As OpenAI's API gives them. */
  tool_calls?: unknown;
  function_call?: unknown;
  refusal?: unknown;
  error?: unknown;
}

/** What answers are. */
export type AnswerKind = "math" | "choice" | "labels" | "json" | "tool-call" | "text";

/** What the answers are, and how they are compared. */
export interface KindOptions {
  /** What the labels are, in their order. Says that the answers are labels, where `answers` does not say something else. */
  labels?: readonly string[];
  /** JSON Schema of the records: one that does not meet it is no answer. Says that the answers are JSON. Nothing is fetched for it. */
  schema?: object | boolean;
  /** Numbers of records are the same where they differ by at most this share of the larger. Default 0. */
  tolerance?: number;
  /** Arguments of calls that are not compared: names, paths such as `options.seed`, or `tool:name`. */
  ignoreArguments?: readonly string[];
  /** What the candidates answer: its options, and whether it asks for a value, help to see what the answers are. */
  problem?: string;
}

/** How to vote. */
export interface VoteOptions extends KindOptions {
  /** Default "auto": seen in the candidates. */
  answers?: AnswerKind | "auto";
  /** Votes that an answer needs, out of all candidates. Default: "strict" (more than half) for texts, else "plurality". */
  rule?: "plurality" | "strict" | "unanimous" | { atLeast: number };
  /** Who wins a tie: the earliest candidate or nobody. Default: "first" for mathematics and choice, else "abstain". */
  ties?: "first" | "abstain";
  /** Take the median of the labels, in the order of their list, instead of counting votes. */
  ordinal?: boolean;
  /** A field of records with a lower share of the votes is marked for review. Default 0.5. */
  reviewBelow?: number;
}

/** How to grade. */
export interface GradeOptions extends KindOptions {
  /** Default: what `labels` or `schema` say, else "math". */
  answers?: AnswerKind;
}

/** A problem with its candidates. */
export interface SampleSetInput {
  problem: string;
  candidates: readonly Candidate[];
  id?: string;
  reference_answer?: string;
}

/** How to aggregate. */
export interface AggregateOptions {
  /** When the model is asked. Default "auto": where less than four of five candidates agree. */
  policy?: "auto" | "always" | "vote";
  /** Whether the model writes the answer or selects one of the candidates'. Default: what it was trained for. */
  mode?: "generate" | "select";
  /** Tokens that the model may write at most. */
  maxNewTokens?: number;
  /** Text of the model as it is written. */
  onToken?: (text: string) => void;
  /** Tokens of the prompt read so far and in all. */
  onPrompt?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** Candidates with equivalent answers. */
export interface AnswerCluster {
  /** The answer as the earliest of the candidates wrote it; of labels, texts, records and calls as most of them did. */
  answer: string;
  /** Number of candidates. */
  votes: number;
  /** `votes` over the number of answered candidates. */
  share: number;
  /** Indices of the candidates, ascending. */
  candidates: number[];
  /**
   * The answers of other clusters that this one's would fit, where it stands alone because they differ: `12` beside `12 cm`
   * and `12 ft`.
   */
  fits?: string[];
  /** Select mode: natural logarithm of the probability that the model gives the answer. */
  log_prob?: number;
}

/** Why a text has no answer. */
export type NoAnswer =
  | "empty"
  | "api_error"
  | "unclosed_thought"
  | "truncated"
  | "refusal"
  | "hedge"
  | "placeholder"
  | "not_found"
  | "invalid"
  | "other_label";

/** What was read in one candidate. */
export interface Reading {
  /** The answer; null where there is none. */
  answer: string | null;
  /** How it was found; null where there is none. */
  found_by: "answer_tag" | "line" | "boxed" | "json" | "phrase" | "whole" | "last" | null;
  /** Why there is none. */
  no_answer?: NoAnswer;
  /** What the schema says about its record. */
  reason?: string;
}

/** What was decided for one place of a record. */
export interface FieldVote {
  /** JSON Pointer (RFC 6901): `/items/0/price`. */
  path: string;
  /** What won; absent where the field is missing from the record. An object or a list is shown empty: its fields follow. */
  value?: unknown;
  /** Candidates that say the same. */
  votes: number;
  /** `votes` over all candidates. */
  share: number;
  /** Somebody should look at it: a tie, here or above, or a share below `reviewBelow`. */
  review: boolean;
  /** What else was said, with its votes; of a missing field the votes alone. */
  others?: ([value: unknown, votes: number] | [votes: number])[];
}

/** What one layer said about a set, and what it cost. */
export interface Layer {
  /** "vote", "model"; later releases may have more. */
  layer: string;
  /** Its answer; null where it gave none. */
  answer: string | null;
  /** Between 0 and 1; `confidence_kind` says what it means. */
  confidence: number;
  confidence_kind: AggregateResult["confidence_kind"];
  /** Tokens of its calls of a model; absent where it made none. */
  usage?: { prompt_tokens: number; completion_tokens: number };
  /** Candidates that it did not see; absent where it saw all. */
  omitted?: number;
}

/** One answer, and how it was reached. */
export interface AggregateResult {
  /** The set's id; empty where it had none. */
  id: string;
  /** The answer; null where no candidate gave one and no model was asked. */
  answer: string | null;
  method: "vote" | "select" | "generate";
  /** Between 0 and 1; `confidence_kind` says what it means. */
  confidence: number;
  confidence_kind: "correct" | "share" | "answer_mass" | "token_product";
  /** Of votes of mathematics and choice: the probability that the first class leads the second. */
  lead_probability?: number;
  num_candidates: number;
  /** The candidates' answers by equivalence, largest first. */
  clusters: AnswerCluster[];
  /** What was read in each candidate, in order. */
  readings: Reading[];
  /** Who was asked, in order; none where nothing was voted on. The answer is that of one of them. */
  layers?: Layer[];
  /** What the model wrote. */
  completion?: string;
  usage: { prompt_tokens: number; completion_tokens: number };
  elapsed_ms: number;
  /** From the call to the first text of the model. */
  time_to_first_token_ms?: number;
  device: "webgpu" | "cpu";
  reference_answer?: string;
  /** Whether `answer` is equivalent to `reference_answer`, where there is one. */
  correct?: boolean;
  /** Candidates that the model did not see because it is for fewer, or its context had no room for them. */
  omitted_candidates?: number;
  /** The share of words that the built-in model does not know; the vote was taken because of it. */
  unknown_words?: number;
}

/** What was loaded. */
export interface AggregatorInfo {
  /** URL of the model directory, or "builtin". */
  model: string;
  device: "webgpu" | "cpu";
  /** The GPU, as the browser names it. */
  adapter?: string;
  /** Why the device is cpu, where "auto" was asked for. */
  fallback?: string;
  parameters: number;
  /** Bytes of the model's files. */
  bytes: number;
}

/** The outcome of a majority vote. */
export interface Vote {
  /** The winning answer, of a record its JSON; null where there is none. */
  answer: string | null;
  /** Between 0 and 1; `confidence_kind` says what it means. */
  confidence: number;
  /**
   * The probability that the answer is right (mathematics with two candidates or more), or the winner's share of all candidates; of
   * a record the mean of its fields' shares.
   */
  confidence_kind: "correct" | "share";
  /** Of mathematics and choice: the probability that the winner leads the second. */
  lead_probability?: number;
  /** What the answers are; null where that cannot be told and nothing was voted on. */
  kind: AnswerKind | null;
  /** How that is known: what was seen in the candidates, or that the options say it. */
  kind_reason: string;
  /** Number of candidates with an answer. */
  answered: number;
  /** More votes first, ties by the earliest candidate; `forms` are the ways in which the answer was written. */
  clusters: (AnswerCluster & { forms: string[] })[];
  /** What was read in each candidate, in order; empty where nothing was voted on. */
  readings: Reading[];
  /** Why there is no answer although candidates have some. */
  abstained?: "tie" | "too_few";
  /** The merged record. */
  record?: unknown;
  /** Its fields, in its order. */
  fields?: FieldVote[];
  /** Why the schema does not allow the merged record, though it allows each of those that it was made of. */
  record_reason?: string;
  /** What the candidates look like, where that is nothing to vote on: any answer would be a stray word or number. */
  undecided?: "code" | "prose" | "mixed";
  /** The same in words, with what to do. */
  message?: string;
}

/** The verdict on one prediction. */
export interface Grade {
  /** The answer found in the prediction; null where there is none. */
  answer: string | null;
  /** Why there is none. */
  no_answer?: NoAnswer;
  /** Whether it is equivalent to the reference: the verdict is "same". */
  equivalent: boolean;
  /** What is known of the two; "unknown" where neither could be shown. */
  verdict: "same" | "different" | "unknown";
}

/** A model in the cache. */
export interface CachedModel {
  model: string;
  /** Bytes in the cache. */
  bytes: number;
  /** Whether all of it is there. */
  complete: boolean;
}

/** A live API, what is asked of it, and what is told meanwhile. */
export interface SampleOptions {
  /** Of an OpenAI-compatible API, up to and without `/chat/completions`, such as `http://127.0.0.1:11434/v1`. */
  baseUrl: string;
  /** Sent in the header `Authorization` and kept nowhere. Over `http://` to this machine only. */
  apiKey?: string;
  /** As the API names it. */
  model: string;
  problem: string;
  /** From 1 to 10,000: one request each. */
  numCandidates: number;
  /** Requests at the same time, at most. Default 6: browsers open no more connections to a server that speaks HTTP/1.1. */
  concurrency?: number;
  /** Default: the API's own. */
  temperature?: number;
  /** Tokens of a candidate at most. Default: the API's own. */
  maxTokens?: number;
  signal?: AbortSignal;
  /** A candidate is there. */
  onCandidate?: (index: number, candidate: SampledCandidate) => void;
  /** The new part of a candidate's text. */
  onToken?: (index: number, text: string) => void;
  /** A candidate will not be there. */
  onFailure?: (index: number, error: AggregatorError) => void;
}

/** A candidate that an API wrote. */
export interface SampledCandidate {
  text: string;
  /** As the API names it. */
  model?: string;
  finish_reason?: string;
  /** Tokens as the API counts them. */
  usage?: Record<string, unknown>;
  /** What the model thought before, where the API keeps that apart. */
  reasoning?: string;
}

/** A candidate that did not arrive. */
export interface SampleFailure {
  index: number;
  error: AggregatorError;
}

/** What came of it. */
export interface SampleResult {
  /** Those that arrived, in order. */
  candidates: SampledCandidate[];
  /** Those that did not, in order. */
  failures: SampleFailure[];
}
