// Sample sets and results as the project's files have them, and what the package is given of a set.

/** One text of a black box. Fields that are not named here are kept. */
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
  reference_answer?: string;
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

export type Method = "vote" | "select" | "generate";

/** How one answer was reached. */
export interface Result {
  answer: string | null;
  method: Method;
  confidence: number;
  confidence_kind: string;
  clusters: Cluster[];
  completion?: string;
  usage: { prompt_tokens: number; completion_tokens: number };
  elapsed_ms: number;
  time_to_first_token_ms?: number;
  device?: string;
  model?: string;
  /** Candidates that the model had no room for. */
  omitted_candidates?: number;
  /** The share of words that the built-in model does not know, where it was not asked because of them. */
  unknown_words?: number;
}

/** A result as a line of a file. */
export interface ResultLine extends Result {
  id: string;
  num_candidates?: number;
  reference_answer?: string;
  correct?: boolean;
  [extra: string]: unknown;
}

/** The fields that the package reads: what else a line has need not be copied to a worker. */
export interface Input {
  id: string;
  problem: string;
  candidates: { text: string; model?: string; finish_reason?: string | null }[];
  reference_answer?: string;
}

export function toInput(set: SampleSet): Input {
  const candidates = set.candidates.map(({ text, model, finish_reason }) => ({
    text,
    ...(model === undefined ? {} : { model }),
    ...(finish_reason === undefined ? {} : { finish_reason }),
  }));
  const { id, problem, reference_answer } = set;
  return { id, problem, candidates, ...(reference_answer === undefined ? {} : { reference_answer }) };
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
    num_candidates: set.candidates.length,
    clusters: clusters.map((cluster) => ({
      answer: cluster.answer,
      votes: cluster.votes,
      share: cluster.share,
      ...(cluster.log_prob === undefined ? {} : { log_prob: cluster.log_prob }),
      candidates: cluster.candidates,
    })),
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
  };
}
