// Sample sets and results as the project's files have them, and what the package is given of a set.

/** One text of a black box; empty where it only calls tools. Fields that are not named here are kept. */
export interface Candidate {
  text: string;
  model?: string;
  finish_reason?: string | null;
  usage?: unknown;
  [extra: string]: unknown;
}

/** One problem with its candidates. Fields that are not named here are kept. */
export interface SampleSet {
  id: string;
  problem: string;
  /** Several where any of them is right. */
  reference_answer?: string | string[];
  candidates: Candidate[];
  [extra: string]: unknown;
}

/** Candidates with equivalent answers. */
export interface Cluster {
  answer: string;
  votes: number;
  share: number;
  /** Indices of candidates, from 0. */
  candidates: number[];
  forms?: string[];
  log_prob?: number;
}

/** Why a candidate has no answer, or which it has. */
export interface Reading {
  answer: string | null;
  no_answer?: string;
  /** What a schema says about its record. */
  reason?: string;
}

/** What was decided for one place of a record. */
export interface FieldVote {
  path: string;
  /** Absent where the record has nothing there. */
  value?: unknown;
  votes: number;
  share: number;
  review: boolean;
  /** What else was said, with its votes behind it; of nothing the votes alone. */
  others?: unknown[][];
}

export type Method = "vote" | "select" | "generate";

/** How one answer was reached. */
export interface Result {
  answer: string | null;
  method: Method;
  confidence: number;
  confidence_kind: string;
  /** What the answers are. */
  answer_kind?: string;
  /** Why there is no answer although candidates have some. */
  abstained?: string;
  /** Of a merged record. */
  fields?: FieldVote[];
  /** Why nothing was voted on. */
  error?: string;
  clusters: Cluster[];
  /** Who was asked, in order, what each said and what it cost. */
  layers?: Layer[];
  completion?: string;
  usage: { prompt_tokens: number; completion_tokens: number };
  elapsed_ms: number;
  time_to_first_token_ms?: number;
  device?: string;
  model?: string;
  /** Candidates that the model did not see. */
  omitted_candidates?: number;
  /** The share of words that the built-in model does not know, where it was not asked because of them. */
  unknown_words?: number;
}

/** What one layer said about a set. */
export interface Layer {
  layer: string;
  answer: string | null;
  confidence: number;
  confidence_kind: string;
  usage?: { prompt_tokens: number; completion_tokens: number };
  omitted?: number;
}

/** A result as a line of a file. */
export interface ResultLine extends Result {
  id: string;
  num_candidates?: number;
  reference_answer?: string | string[];
  correct?: boolean;
  [extra: string]: unknown;
}

/** The fields that the package reads: what else a line has need not be copied to a worker. */
export interface Input {
  id: string;
  problem: string;
  candidates: InputCandidate[];
  reference_answer?: string;
}

export interface InputCandidate {
  text: string;
  model?: string;
  finish_reason?: string | null;
  tool_calls?: unknown;
  function_call?: unknown;
  refusal?: unknown;
  error?: unknown;
}

/** What an answer of an API has beside its text that the package reads. */
const OTHERS = ["tool_calls", "function_call", "refusal", "error"] as const;

export function toInput(set: SampleSet): Input {
  const candidates = set.candidates.map((candidate): InputCandidate => {
    const { text, model, finish_reason } = candidate;
    const others = OTHERS.filter((name) => candidate[name] !== undefined).map((name) => [name, candidate[name]]);
    return {
      text,
      ...(model === undefined ? {} : { model }),
      ...(finish_reason === undefined ? {} : { finish_reason }),
      ...Object.fromEntries(others),
    };
  });
  const { id, problem, reference_answer } = set;
  // The page judges by all references itself.
  const reference = typeof reference_answer === "string" ? { reference_answer } : {};
  return { id, problem, candidates, ...reference };
}

/** The line for a result of a set, in the order that the command line writes it. */
export function toResultLine(set: SampleSet, result: Result, correct: boolean | undefined): ResultLine {
  const { answer, method, confidence, confidence_kind, clusters, completion, usage, elapsed_ms } = result;
  const reference = set.reference_answer;
  return {
    id: set.id,
    answer,
    method,
    confidence,
    confidence_kind,
    ...(result.answer_kind === undefined ? {} : { answer_kind: result.answer_kind }),
    ...(result.abstained === undefined ? {} : { abstained: result.abstained }),
    ...(result.fields === undefined ? {} : { fields: result.fields }),
    num_candidates: set.candidates.length,
    clusters: clusters.map((cluster) => ({
      answer: cluster.answer,
      votes: cluster.votes,
      share: cluster.share,
      ...(cluster.log_prob === undefined ? {} : { log_prob: cluster.log_prob }),
      candidates: cluster.candidates,
    })),
    ...(result.layers === undefined || result.layers.length === 0 ? {} : { layers: result.layers }),
    ...(completion === undefined ? {} : { completion }),
    usage,
    elapsed_ms,
    ...(reference === undefined ? {} : { reference_answer: reference }),
    ...(correct === undefined ? {} : { correct }),
    ...(result.time_to_first_token_ms === undefined ? {} : { time_to_first_token_ms: result.time_to_first_token_ms }),
    ...(result.device === undefined ? {} : { device: result.device }),
    ...(result.model === undefined ? {} : { model: result.model }),
    ...(result.omitted_candidates === undefined ? {} : { omitted_candidates: result.omitted_candidates }),
    ...(result.unknown_words === undefined ? {} : { unknown_words: result.unknown_words }),
    ...(result.error === undefined ? {} : { error: result.error }),
  };
}
