// What this package calls of the wasm module (crate `conclave-web`). The bindings have types of their own, but they
// are made by a build that type checking must not depend on.

import type { AggregateResult, Grade, SampleSetInput, SampledCandidate, Vote } from "./types.js";

/** What the module reads a model from. Every byte was checked against its sha256 before. */
export interface WasmFiles {
  len(file: string): Promise<number | undefined>;
  read(file: string, start: number, end: number): Promise<Uint8Array>;
}

export interface WasmLoadOptions {
  device: "webgpu" | "cpu";
  onProgress(stage: "weights" | "self-test", done: number, total: number): void;
  shouldStop(): boolean;
  /** Called between steps: a promise is waited for, so that messages (such as "stop") can arrive. */
  pause(): Promise<void> | undefined;
  /** Called once when the GPU goes away. */
  onLost(reason: string): void;
}

export interface WasmAggregateOptions {
  policy: "auto" | "always" | "vote";
  mode: "generate" | "select" | undefined;
  maxNewTokens: number | undefined;
  onToken(text: string): void;
  onPrompt(done: number, total: number): void;
  shouldStop(): boolean;
  pause(): Promise<void> | undefined;
}

export type WasmResult = Omit<AggregateResult, "device" | "elapsed_ms" | "time_to_first_token_ms">;

/** One model on one device. */
export interface WasmEngine {
  aggregate(set: SampleSetInput, options: WasmAggregateOptions): Promise<WasmResult>;
  info(): { device: "webgpu" | "cpu"; adapter?: string; parameters: number; bytes: number };
  free(): void;
}

/** What is asked of an API. It is checked there. */
export interface WasmSampleOptions {
  baseUrl: unknown;
  apiKey: unknown;
  model: unknown;
  problem: unknown;
  numCandidates: unknown;
  concurrency: unknown;
  temperature: unknown;
  maxTokens: unknown;
  signal: unknown;
  onCandidate(index: number, candidate: SampledCandidate): void;
  onToken(index: number, text: string): void;
  onFailure(index: number, error: unknown): void;
}

/** What every module has. */
interface AnyModule {
  /** Sets what is told of a panic, after which promises of the module may never settle. */
  onPanic(callback: (message: string) => void): void;
}

/** Says why a record, given as JSON, does not meet the schema; undefined where it does. */
export type SchemaCheck = (record: string) => string | undefined;

/** The smallest module. */
export interface VoteModule extends AnyModule {
  majorityVote(candidates: unknown, options: unknown, check: SchemaCheck | undefined): Vote;
  grade(reference: unknown, prediction: unknown, options: unknown, check: SchemaCheck | undefined): Grade;
}

/** The module that speaks with APIs. */
export interface ClientModule extends AnyModule {
  /** Those that arrived, in order; of the others `onFailure` is told. Behind an abort nothing is told any more. */
  sampleCandidates(options: WasmSampleOptions): Promise<SampledCandidate[]>;
}

/** The module with a model. */
export interface EngineModule extends VoteModule {
  Engine: {
    load(files: WasmFiles, options: WasmLoadOptions): Promise<WasmEngine>;
    loadBuiltin(options: WasmLoadOptions): Promise<WasmEngine>;
  };
}
