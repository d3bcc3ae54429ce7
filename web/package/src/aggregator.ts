// The class that users have: arguments checked, calls one after the other, stopping at any moment.

import { told } from "./callbacks.js";
import { type AggregateRequest, type Engine, LocalEngine } from "./engine.js";
import { AggregatorError, throwIfAborted, toAggregatorError } from "./errors.js";
import { directoryUrl } from "./manifest.js";
import { type Platform, platform } from "./platform/platform.js";
import { RemoteEngine, WorkerStartError } from "./remote.js";
import { readCandidates } from "./candidates.js";
import { endOf, stoppable } from "./stoppable.js";
import type { AggregateOptions, AggregateResult, AggregatorInfo, LoadOptions, LoadProgress, SampleSetInput } from "./types.js";

const NEVER = new AbortController().signal;

/** Milliseconds that a stopped load may take to keep what had arrived, where the host says nothing else. */
const KEEP_MS = 5_000;

/** A small language model that turns many candidate answers into one. */
export class SampleSetAggregator {
  readonly #engine: Engine;
  #info: AggregatorInfo;
  /** The end of the last call, whatever it was: calls wait for it. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #disposal = new AbortController();

  private constructor(engine: Engine, info: AggregatorInfo) {
    this.#engine = engine;
    this.#info = info;
  }

  /** Loads a model: from the cache where it is there, else over the network, and tests it on the device. */
  static async load(options: LoadOptions = {}): Promise<SampleSetAggregator> {
    const { model = "builtin", device = "auto", cache = "auto", signal = NEVER } = options;
    if (!["auto", "webgpu", "cpu"].includes(device)) {
      throw new AggregatorError("input", `device: expected "auto", "webgpu" or "cpu", not "${device}"`);
    }
    if (!["auto", "memory"].includes(cache)) {
      throw new AggregatorError("input", `cache: expected "auto" or "memory", not "${cache}"`);
    }
    const host = platform();
    const request = { model: model === "builtin" ? model : directoryUrl(model, host.base), device, cache };
    const listener = {
      onProgress: (progress: LoadProgress) => void (signal.aborted || told(() => options.onProgress?.(progress))),
      onWarning: options.onWarning ?? ((message: string) => console.warn(`@conclave/web: ${message}`)),
    };
    throwIfAborted(signal);
    let engine = engineFor(host, options.worker);
    const load = () => {
      const loading = engine.load(request, listener, signal);
      // The caller may close the page when this rejects, so the engine, which keeps what had arrived, is waited for. But not
      // for ever: its store may never answer.
      return stoppable(signal, loading, () => endOf(loading, host.storage.keepMs ?? KEEP_MS));
    };
    try {
      try {
        return new SampleSetAggregator(engine, await load());
      } catch (error) {
        if (!(error instanceof WorkerStartError) || options.worker === true) throw error;
        listener.onWarning(`${error.message}; the model runs in this thread`);
        engine = new LocalEngine(host);
        return new SampleSetAggregator(engine, await load());
      }
    } catch (error) {
      engine.dispose();
      throw toAggregatorError(error);
    }
  }

  /** What was loaded. It changes where the model had to be loaded again on another device. */
  get info(): AggregatorInfo {
    return this.#info;
  }

  /** Turns a set into one answer. Calls wait for each other, in their order. */
  async aggregate(set: SampleSetInput, options: AggregateOptions = {}): Promise<AggregateResult> {
    const { signal = NEVER } = options;
    const input = readSet(set);
    const request = readOptions(options);
    const isOver = () => this.#disposal.signal.aborted || signal.aborted;
    const listener = {
      onToken: (text: string) => void (isOver() || told(() => options.onToken?.(text))),
      onPrompt: (done: number, total: number) => void (isOver() || told(() => options.onPrompt?.(done, total))),
    };
    const turn = this.#last.then(async () => {
      this.#throwIfDisposed();
      throwIfAborted(signal);
      const { result, info } = await this.#engine.aggregate(input, request, listener, signal);
      this.#info = info;
      return result;
    });
    // The next call waits for the true end of this one, also where its caller no longer does.
    this.#last = turn.catch(() => {});
    try {
      return await stoppable(signal, stoppable(this.#disposal.signal, turn));
    } catch (error) {
      this.#throwIfDisposed(error);
      throw toAggregatorError(error);
    }
  }

  /** Frees the model. What is going on rejects with code "disposed"; done when all of it has ended. */
  async dispose(): Promise<void> {
    if (!this.#disposal.signal.aborted) {
      this.#disposal.abort();
      this.#engine.dispose();
    }
    await this.#last;
  }

  #throwIfDisposed(cause?: unknown): void {
    if (this.#disposal.signal.aborted) {
      throw new AggregatorError("disposed", "the aggregator was disposed of", { cause });
    }
  }
}

function engineFor(host: Platform, worker: boolean | undefined): Engine {
  const start = host.startWorker;
  if (worker === true && start === undefined) {
    throw new AggregatorError("unsupported", "worker: there are no workers here", { remedy: "Leave `worker` out." });
  }
  return start === undefined || worker === false ? new LocalEngine(host) : new RemoteEngine(start, host.base);
}

function readSet(set: SampleSetInput): SampleSetInput {
  if (typeof set !== "object" || set === null) throw new AggregatorError("input", "set: expected an object");
  const { problem, id, reference_answer } = set;
  if (typeof problem !== "string") throw new AggregatorError("input", "problem: expected a string");
  for (const [name, value] of Object.entries({ id, reference_answer })) {
    if (value !== undefined && typeof value !== "string") {
      throw new AggregatorError("input", `${name}: expected a string`);
    }
  }
  const candidates = readCandidates(set.candidates);
  return {
    id: id ?? "",
    problem,
    candidates,
    ...(reference_answer !== undefined && { reference_answer }),
  };
}

function readOptions({ policy = "auto", mode, maxNewTokens }: AggregateOptions): AggregateRequest {
  if (!["auto", "always", "vote"].includes(policy)) {
    throw new AggregatorError("input", `policy: expected "auto", "always" or "vote", not "${policy}"`);
  }
  if (mode !== undefined && !["generate", "select"].includes(mode)) {
    throw new AggregatorError("input", `mode: expected "generate" or "select", not "${mode}"`);
  }
  if (maxNewTokens !== undefined && !(Number.isSafeInteger(maxNewTokens) && maxNewTokens > 0)) {
    throw new AggregatorError("input", `maxNewTokens: expected a positive whole number, not ${maxNewTokens}`);
  }
  return { policy, ...(mode !== undefined && { mode }), ...(maxNewTokens !== undefined && { maxNewTokens }) };
}
