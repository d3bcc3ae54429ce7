// A stand-in for the wasm module: an engine whose every step a test decides.

import type { Grade, SampleSetInput, SampledCandidate, Vote } from "../../src/types.js";
import type {
  EngineModule,
  SchemaCheck,
  WasmAggregateOptions,
  WasmEngine,
  WasmFiles,
  WasmLoadOptions,
  WasmResult,
  WasmSampleOptions,
} from "../../src/wasm.js";

/** An error as the module throws it. */
export function conclaveError(code: string, message = `${code} of the fake`): Error {
  return Object.assign(new Error(message), { name: "ConclaveError", code });
}

const VOTE: Vote = {
  answer: "7",
  confidence: 0.5,
  confidence_kind: "correct",
  kind: "math",
  kind_reason: "it is a fake",
  answered: 0,
  clusters: [],
  readings: [],
};

export class FakeModule implements EngineModule {
  /** Loads in order, and what each read of the weights. */
  readonly loads: { device: string; config: string | undefined; weights: number | undefined }[] = [];
  freed = 0;
  /** Aggregations that are running. */
  running = 0;
  /** What the next loads fail with, by device. */
  failing: Partial<Record<"webgpu" | "cpu", Error>> = {};
  /** Steps of an aggregation; each is a pause and a token. */
  steps = 3;
  /** What happens at a step, before its token. */
  onStep: (step: number, engine: { lose(reason: string): void }) => void | Promise<void> = () => {};
  /** Whether loading waits until it is told to stop. */
  hanging = false;
  panic: (message: string) => void = () => {};
  /** What comes of candidates. */
  sampling: (options: WasmSampleOptions) => Promise<SampledCandidate[]> = async () => [];
  lastSet: SampleSetInput | undefined;
  lastOptions: WasmAggregateOptions | undefined;
  /** What a vote or grade was given beside texts. */
  lastKind: { given: unknown; options: unknown; check: SchemaCheck | undefined } | undefined;

  readonly Engine = {
    load: (files: WasmFiles, options: WasmLoadOptions) => this.#load(files, options),
    loadBuiltin: (options: WasmLoadOptions) => this.#load(undefined, options),
  };

  onPanic(callback: (message: string) => void): void {
    this.panic = callback;
  }

  majorityVote(candidates: unknown, options: unknown, check: SchemaCheck | undefined): Vote {
    this.lastKind = { given: candidates, options, check };
    return { ...VOTE, answered: (candidates as unknown[]).length };
  }

  grade(reference: unknown, prediction: unknown, options: unknown, check: SchemaCheck | undefined): Grade {
    this.lastKind = { given: prediction, options, check };
    if (reference === "throw") throw conclaveError("input", "no");
    const equivalent = reference === prediction;
    return { answer: String(prediction), equivalent, verdict: equivalent ? "same" : "different" };
  }

  sampleCandidates(options: WasmSampleOptions): Promise<SampledCandidate[]> {
    return this.sampling(options);
  }

  async #load(files: WasmFiles | undefined, options: WasmLoadOptions): Promise<WasmEngine> {
    const length = await files?.len("model.safetensors");
    const weights = files && length !== undefined ? (await files.read("model.safetensors", 0, length)).length : undefined;
    const config = files && new TextDecoder().decode(await files.read("config.json", 0, (await files.len("config.json"))!));
    this.loads.push({ device: options.device, config, weights });
    options.onProgress("weights", 0, 10);
    while (this.hanging) {
      if (options.shouldStop()) throw conclaveError("cancelled");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const failure = this.failing[options.device];
    if (failure !== undefined) throw failure;
    options.onProgress("weights", 10, 10);
    options.onProgress("self-test", 1, 1);
    return this.#engine(options);
  }

  #engine(load: WasmLoadOptions): WasmEngine {
    let isFree = false;
    return {
      info: () => ({ device: load.device, parameters: 10, bytes: 40 }),
      free: () => {
        if (isFree) throw new Error("freed twice");
        isFree = true;
        this.freed++;
      },
      aggregate: async (set, options) => {
        if (isFree) throw new Error("used after it was freed");
        if (this.running > 0) throw new Error("attempted to use an object that is in use");
        this.running++;
        [this.lastSet, this.lastOptions] = [set, options];
        try {
          return await this.#aggregate(set, options, load);
        } finally {
          this.running--;
        }
      },
    };
  }

  async #aggregate(set: SampleSetInput, options: WasmAggregateOptions, load: WasmLoadOptions): Promise<WasmResult> {
    options.onPrompt(5, 5);
    for (let step = 0; step < this.steps; step++) {
      await options.pause();
      await new Promise((resolve) => setTimeout(resolve, 0));
      await this.onStep(step, { lose: load.onLost });
      if (options.shouldStop()) throw conclaveError("cancelled");
      options.onToken(`t${step} `);
    }
    return {
      id: set.id ?? "",
      answer: "7",
      method: "generate",
      confidence: 0.5,
      confidence_kind: "token_product",
      num_candidates: set.candidates.length,
      clusters: [],
      readings: [],
      usage: { prompt_tokens: 5, completion_tokens: this.steps },
    };
  }
}
