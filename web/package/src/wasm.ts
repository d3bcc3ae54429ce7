// What this package calls of the wasm module (crate `conclave-web`). The bindings have types of their own, but they
// are made by a build that type checking must not depend on.

import type { AggregateResult, Grade, SampleSetInput, Vote } from "./types.js";

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

/** The vote module. */
export interface VoteModule {
  majorityVote(candidates: unknown): Vote;
  grade(reference: unknown, prediction: unknown): Grade;
}

/** The module with a model. */
export interface EngineModule extends VoteModule {
  Engine: {
    load(files: WasmFiles, options: WasmLoadOptions): Promise<WasmEngine>;
    loadBuiltin(options: WasmLoadOptions): Promise<WasmEngine>;
  };
  /** Sets what is told of a panic, after which promises of the module may never settle. */
  onPanic(callback: (message: string) => void): void;
}
