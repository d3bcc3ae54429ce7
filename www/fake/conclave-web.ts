// A stand-in for `@conclave/web` with its types and no wasm: for tests, and for pages built with `--mode fake`. It counts
// equal texts (`kinds.ts`), writes a script slowly and fails on demand. Nothing of it gets into the production build.
//
// On demand: a model URL or an API's model name that contains `fail:CODE` fails with that code, `slow` takes seconds; an API's
// model name that contains `one-fails` loses its third candidate; a model URL with `no-webgpu` runs on cpu.

import { answerIn, callsIn, vote } from "./kinds.ts";

export type Device = "auto" | "webgpu" | "cpu";
export type ErrorCode =
  | "input"
  | "aborted"
  | "network"
  | "http"
  | "cors"
  | "unauthorized"
  | "no-such-model"
  | "rate-limited"
  | "timeout"
  | "not-found"
  | "hash-mismatch"
  | "quota"
  | "format"
  | "unsupported"
  | "no-webgpu"
  | "limits"
  | "self-test-failed"
  | "not-finite"
  | "device-lost"
  | "disposed"
  | "internal";

export interface LoadProgress {
  stage: "module" | "download" | "verify" | "weights" | "self-test";
  file?: string;
  loaded: number;
  total: number;
}

export interface LoadOptions {
  model?: string;
  device?: Device;
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
  worker?: boolean;
  cache?: "auto" | "memory";
}

export type Candidate =
  | string
  | { text?: string | null; model?: string; finish_reason?: string | null; tool_calls?: unknown };

export type AnswerKind = "math" | "choice" | "labels" | "json" | "tool-call" | "text";

export interface VoteOptions {
  answers?: AnswerKind | "auto";
  labels?: readonly string[];
  schema?: object | boolean;
  problem?: string;
}

export type GradeOptions = VoteOptions;

export interface FieldVote {
  path: string;
  value?: unknown;
  votes: number;
  share: number;
  review: boolean;
  others?: ([value: unknown, votes: number] | [votes: number])[];
}

export interface SampleSetInput {
  problem: string;
  candidates: readonly Candidate[];
  id?: string;
  reference_answer?: string;
}

export interface AggregateOptions {
  policy?: "auto" | "always" | "vote";
  mode?: "generate" | "select";
  maxNewTokens?: number;
  onToken?: (text: string) => void;
  onPrompt?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface AnswerCluster {
  answer: string;
  votes: number;
  share: number;
  candidates: number[];
  forms: string[];
  log_prob?: number;
}

export interface Vote {
  answer: string | null;
  confidence: number;
  confidence_kind: "correct" | "share";
  kind: AnswerKind | null;
  kind_reason: string;
  answered: number;
  clusters: AnswerCluster[];
  readings: Reading[];
  abstained?: "tie" | "too_few";
  record?: unknown;
  fields?: FieldVote[];
  record_reason?: string;
  undecided?: "code" | "prose" | "mixed";
  message?: string;
}

export interface Reading {
  answer: string | null;
  found_by: string | null;
  no_answer?: string;
  reason?: string;
}

export interface Grade {
  answer: string | null;
  no_answer?: string;
  equivalent: boolean;
  verdict: "same" | "different" | "unknown";
}

export interface AggregateResult {
  answer: string | null;
  method: "vote" | "select" | "generate";
  confidence: number;
  confidence_kind: string;
  clusters: AnswerCluster[];
  readings: Reading[];
  completion?: string;
  usage: { prompt_tokens: number; completion_tokens: number };
  elapsed_ms: number;
  time_to_first_token_ms?: number;
  device: "webgpu" | "cpu";
}

export interface AggregatorInfo {
  model: string;
  device: "webgpu" | "cpu";
  adapter?: string;
  fallback?: string;
  parameters: number;
  bytes: number;
}

export class AggregatorError extends Error {
  override name = "AggregatorError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

/** How long one step takes; tests set it to 0. */
export const pace = { ms: 24 };

export class SampleSetAggregator {
  #disposed = false;
  #failOnce: ErrorCode | null;

  private constructor(
    readonly info: AggregatorInfo,
    failOnce: ErrorCode | null,
  ) {
    this.#failOnce = failOnce;
  }

  static async load(options: LoadOptions = {}): Promise<SampleSetAggregator> {
    const { model = "builtin", device = "auto", onProgress, signal } = options;
    const builtin = model === "builtin";
    const bytes = builtin ? 2_080_768 : 279_400_000;
    const steps = model.includes("slow") ? 200 : 20;
    onProgress?.({ stage: "module", loaded: 1, total: 1 });
    for (let step = 1; !builtin && step <= steps; step += 1) {
      await rest(signal);
      onProgress?.({ stage: "download", file: "model.safetensors", loaded: (bytes * step) / steps, total: bytes });
    }
    const code = /fail:([a-z-]+)/.exec(model)?.[1] as ErrorCode | undefined;
    if (code !== undefined && code !== "device-lost") throw fault(code, model);
    onProgress?.({ stage: "weights", loaded: bytes, total: bytes });
    await rest(signal);
    onProgress?.({ stage: "self-test", loaded: 1, total: 1 });
    await rest(signal);
    const on =
      device === "cpu"
        ? { device: "cpu" as const }
        : model.includes("no-webgpu")
          ? { device: "cpu" as const, fallback: "WebGPU has no adapter: no GPU, or its driver is blocked" }
          : { device: "webgpu" as const, adapter: "SwiftShader" };
    const info = { model, ...on, parameters: builtin ? 1_030_000 : 494_000_000, bytes };
    return new SampleSetAggregator(info, code === "device-lost" ? code : null);
  }

  async aggregate(set: SampleSetInput, options: AggregateOptions = {}): Promise<AggregateResult> {
    if (this.#disposed) throw fault("disposed", "this aggregator");
    const { mode = "generate", onToken, onPrompt, signal } = options;
    const vote = await majorityVote(set.candidates);
    const start = performance.now();
    const prompt = 640;
    for (let read = 128; read <= prompt; read += 128) {
      await rest(signal);
      onPrompt?.(read, prompt);
    }
    if (this.#failOnce !== null) {
      const code = this.#failOnce;
      this.#failOnce = null;
      throw fault(code, this.info.adapter ?? "the device");
    }
    const { device } = this.info;
    const usage = { prompt_tokens: prompt, completion_tokens: 0 };
    const base = { usage, device, confidence: 0.8137, readings: vote.readings };
    if (mode === "select") {
      const clusters = vote.clusters.map((cluster, index) => ({
        ...cluster,
        log_prob: Math.log([0.11, 0.8137, 0.02][index] ?? 0.001),
      }));
      const answer = (clusters[1] ?? clusters[0])?.answer ?? null;
      const elapsed_ms = performance.now() - start;
      return { ...base, answer, method: "select", confidence_kind: "answer_mass", clusters, elapsed_ms };
    }
    // The fake holds with the first dissenter, so that a page shows what dissent looks like.
    const answer = (vote.clusters[1] ?? vote.clusters[0])?.answer ?? "0";
    const supporter = (vote.clusters[1] ?? vote.clusters[0])?.candidates[0] ?? 0;
    const steps = textOf(set.candidates[supporter] ?? "").slice(0, 600);
    const completion = `${steps}</think><answer>${answer}</answer>`;
    let first: number | undefined;
    for (const token of completion.match(/[\s\S]{1,3}/g) ?? []) {
      await rest(signal);
      first ??= performance.now() - start;
      usage.completion_tokens += 1;
      onToken?.(token);
    }
    return {
      ...base,
      answer,
      method: "generate",
      confidence_kind: "token_product",
      clusters: vote.clusters,
      completion,
      elapsed_ms: performance.now() - start,
      ...(first === undefined ? {} : { time_to_first_token_ms: first }),
    };
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
  }
}

export async function majorityVote(candidates: readonly Candidate[], options: VoteOptions = {}): Promise<Vote> {
  return vote(candidates.map(textOf), options);
}

export async function grade(
  reference: string | readonly string[],
  prediction: Candidate,
  options: GradeOptions = {},
): Promise<Grade> {
  const text = textOf(prediction);
  const isMath = (options.answers ?? "math") === "math";
  const answer = (isMath ? answerIn(text) : null) ?? (text.length < 200 || !isMath ? text : null);
  const references = typeof reference === "string" ? [reference] : reference;
  const equivalent = references.some((one) => answer?.replace(/\s+/g, "") === one.replace(/\s+/g, ""));
  return { answer, equivalent, verdict: equivalent ? "same" : "different" };
}

const stored = new Map([["https://models.example/conclave-0.5b/", 279_400_000]]);

export async function listModels(): Promise<{ model: string; bytes: number; complete: boolean }[]> {
  return [...stored].map(([model, bytes]) => ({ model, bytes, complete: true }));
}

export async function deleteModel(model: string): Promise<boolean> {
  return stored.delete(model);
}

export interface SampleOptions {
  baseUrl: string;
  apiKey?: string;
  model: string;
  problem: string;
  numCandidates: number;
  concurrency?: number;
  temperature?: number;
  maxTokens?: number;
  signal?: AbortSignal;
  onCandidate?: (index: number, candidate: Candidate) => void;
  onToken?: (index: number, text: string) => void;
  onFailure?: (index: number, error: AggregatorError) => void;
}

export async function sampleCandidates(
  options: SampleOptions,
): Promise<{ candidates: Candidate[]; failures: { index: number; error: AggregatorError }[] }> {
  const { model, numCandidates, signal, onCandidate, onToken, onFailure } = options;
  const code = /fail:([a-z-]+)/.exec(model)?.[1] as ErrorCode | undefined;
  const candidates: Candidate[] = [];
  const failures: { index: number; error: AggregatorError }[] = [];
  const one = async (index: number) => {
    try {
      if (code !== undefined) throw fault(code, model);
      if (model.includes("one-fails") && index === 2) throw fault("rate-limited", model);
      const answer = index % 3 === 0 ? 41 : 42;
      const text = `First, $6 \\times 7 = ${answer}$.\n\nSo the answer is \\boxed{${answer}}.`;
      for (const piece of text.match(/[\s\S]{1,4}/g) ?? []) {
        for (let wait = 0; wait <= index % 4; wait += 1) await rest(signal);
        onToken?.(index, piece);
      }
      const candidate = { text, model, finish_reason: "stop" };
      candidates.push(candidate);
      onCandidate?.(index, candidate);
    } catch (thrown) {
      // As in the package: behind an abort nothing is told any more.
      if (signal?.aborted) return;
      const error = thrown instanceof AggregatorError ? thrown : fault("internal", String(thrown));
      failures.push({ index, error });
      onFailure?.(index, error);
    }
  };
  await Promise.all(Array.from({ length: numCandidates }, (_, index) => one(index)));
  if (signal?.aborted) throw fault("aborted", "");
  return { candidates, failures };
}

function textOf(candidate: Candidate): string {
  if (typeof candidate === "string") return candidate;
  return candidate.text || (candidate.tool_calls === undefined ? "" : callsIn(candidate.tool_calls));
}

function fault(code: ErrorCode, what: string): AggregatorError {
  const faults: Partial<Record<ErrorCode, [string, string]>> = {
    "not-found": [`nothing is at ${what}`, "Check the URL of the model directory."],
    "device-lost": [`${what} was lost`, "Run again: the model is loaded anew from the cache."],
    "rate-limited": ["the API answered 429: too many requests", "Wait a minute, or ask for fewer candidates at once."],
    unauthorized: ["the API answered 401: the key is wrong", "Check the key."],
    cors: [
      "the API does not allow this page",
      "Allow this origin in the API's settings, for Ollama in OLLAMA_ORIGINS.",
    ],
    aborted: ["stopped", ""],
    disposed: [`${what} was disposed`, "Load it again."],
  };
  const [message, remedy] = faults[code] ?? [`${code} with ${what}`, "Try again."];
  return new AggregatorError(code, message, remedy);
}

function rest(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    setTimeout(() => (signal?.aborted ? reject(fault("aborted", "")) : resolve()), pace.ms);
  });
}
