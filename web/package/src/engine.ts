// One model in this thread: download, device, module, and loading it again after its device was lost.

import { ModelFolder } from "./cache/folder.js";
import { exclusively } from "./cache/lock.js";
import { openSpillingBlobs } from "./cache/open.js";
import { type Choice, chooseDevice } from "./device.js";
import { fetchModel } from "./download.js";
import { AggregatorError, throwIfAborted, toAggregatorError } from "./errors.js";
import { FolderFiles } from "./files.js";
import { directoryUrl } from "./manifest.js";
import { unlessPanic } from "./panic.js";
import { pauser } from "./pause.js";
import type { Platform } from "./platform/platform.js";
import { stoppable } from "./stoppable.js";
import type {
  AggregateOptions,
  AggregateResult,
  AggregatorInfo,
  Device,
  LoadProgress,
  SampleSetInput,
} from "./types.js";
import type { EngineModule, WasmEngine, WasmLoadOptions } from "./wasm.js";

/** What a load needs, as plain values: it crosses to a worker. */
export interface LoadRequest {
  model: string;
  device: Device;
  cache: "auto" | "memory";
}

/** What a load tells. */
export interface LoadListener {
  onProgress(progress: LoadProgress): void;
  onWarning(message: string): void;
}

/** What an aggregation needs, as plain values. */
export type AggregateRequest = Required<Pick<AggregateOptions, "policy">> & Pick<AggregateOptions, "mode" | "maxNewTokens">;

/** What an aggregation tells. */
export interface AggregateListener {
  onToken(text: string): void;
  onPrompt(done: number, total: number): void;
}

/** How a front (this thread's or a worker's) is driven. Calls of one engine never overlap. */
export interface Engine {
  /** Rejects with `aborted` only when all that had arrived of a model is kept. */
  load(request: LoadRequest, listener: LoadListener, signal: AbortSignal): Promise<AggregatorInfo>;
  aggregate(
    set: SampleSetInput,
    request: AggregateRequest,
    listener: AggregateListener,
    signal: AbortSignal,
  ): Promise<{ result: AggregateResult; info: AggregatorInfo }>;
  /** Frees everything; what is going on fails. */
  dispose(): void;
}

const SILENT: LoadListener = { onProgress() {}, onWarning() {} };

export class LocalEngine implements Engine {
  readonly #platform: Platform;
  #request: LoadRequest | undefined;
  #loaded: { engine: WasmEngine; info: AggregatorInfo } | undefined;
  /** The last download, which may be going on. */
  #download: Promise<unknown> | undefined;
  /** Why the device went away; the next aggregation loads the model again. */
  #lost: string | undefined;
  /** Which opening of a device is the present one: an earlier device may be reported lost late. */
  #opening: object | undefined;
  #busy = false;
  #disposed = false;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  async load(request: LoadRequest, listener: LoadListener, signal: AbortSignal): Promise<AggregatorInfo> {
    this.#request = request;
    const loading = this.#exclusively(() => this.#load(request, listener, signal));
    // A download ends soon after a stop, when it has kept what had arrived. Nothing else is worth a wait.
    return (await stoppable(signal, loading, () => this.#download)).info;
  }

  async aggregate(
    set: SampleSetInput,
    request: AggregateRequest,
    listener: AggregateListener,
    signal: AbortSignal,
  ): Promise<{ result: AggregateResult; info: AggregatorInfo }> {
    return this.#exclusively(async () => {
      const loaded = await this.#ready(signal);
      const started = performance.now();
      let first: number | undefined;
      const module = await this.#platform.loadModule();
      const result = await this.#guarded(module, () =>
        loaded.engine.aggregate(set, {
          policy: request.policy,
          mode: request.mode,
          maxNewTokens: request.maxNewTokens,
          onToken: (text) => {
            first ??= performance.now() - started;
            listener.onToken(text);
          },
          onPrompt: (done, total) => listener.onPrompt(done, total),
          shouldStop: () => signal.aborted || this.#disposed,
          pause: pauser(),
        }),
      );
      const times = { elapsed_ms: performance.now() - started, ...(first !== undefined && { time_to_first_token_ms: first }) };
      return { result: { ...result, ...times, device: loaded.info.device }, info: loaded.info };
    });
  }

  dispose(): void {
    this.#disposed = true;
    // A running call sees it at its next step and frees the engine when it ends.
    if (!this.#busy) this.#free();
  }

  /** The loaded model, loaded again where its device is gone. */
  async #ready(signal: AbortSignal): Promise<{ engine: WasmEngine; info: AggregatorInfo }> {
    if (this.#lost !== undefined) this.#free();
    if (this.#loaded !== undefined) return this.#loaded;
    if (this.#request === undefined) throw new AggregatorError("internal", "no model was loaded");
    return this.#load(this.#request, SILENT, signal);
  }

  async #load(request: LoadRequest, listener: LoadListener, signal: AbortSignal) {
    throwIfAborted(signal);
    listener.onProgress({ stage: "module", loaded: 0, total: 1 });
    const module = await this.#module();
    listener.onProgress({ stage: "module", loaded: 1, total: 1 });
    const choice = await chooseDevice(request.device, this.#platform.gpu);
    const source = request.model === "builtin" ? undefined : await this.#fetch(request, listener, signal);
    try {
      return await this.#open(module, request, source, choice, listener, signal);
    } catch (error) {
      // A GPU that computes wrongly or cannot be opened is found out only now.
      const refused = ["self-test-failed", "no-webgpu", "limits", "device-lost"];
      const failure = toAggregatorError(error);
      if (request.device !== "auto" || choice.device === "cpu" || !refused.includes(failure.code)) throw failure;
      listener.onWarning(`WebGPU is not used: ${failure.message}`);
      return await this.#open(module, request, source, { device: "cpu", fallback: failure.message }, listener, signal);
    }
  }

  async #module(): Promise<EngineModule> {
    try {
      return await this.#platform.loadModule();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const remedy = "Check that the package's .wasm files are served, and that a CSP has 'wasm-unsafe-eval'.";
      throw new AggregatorError("unsupported", `the wasm module cannot be started (${reason})`, { cause, remedy });
    }
  }

  async #fetch(request: LoadRequest, listener: LoadListener, signal: AbortSignal): Promise<ModelFolder> {
    const { storage, network, base } = this.#platform;
    const directory = directoryUrl(request.model, base);
    const blobs = await openSpillingBlobs(storage, request.cache, (message) => listener.onWarning(message));
    const folder = new ModelFolder(blobs, directory);
    const options = { signal, onProgress: (progress: LoadProgress) => listener.onProgress(progress) };
    await exclusively(storage.locks, directory, signal, () => {
      const download = fetchModel(directory, folder, network, options);
      this.#download = download;
      return download;
    });
    return folder;
  }

  async #open(
    module: EngineModule,
    request: LoadRequest,
    folder: ModelFolder | undefined,
    choice: Choice,
    listener: LoadListener,
    signal: AbortSignal,
  ) {
    const opening = {};
    this.#opening = opening;
    this.#lost = undefined;
    const options: WasmLoadOptions = {
      device: choice.device,
      onProgress: (stage, loaded, total) => listener.onProgress({ stage, loaded, total }),
      shouldStop: () => signal.aborted || this.#disposed,
      pause: pauser(),
      onLost: (reason) => {
        if (this.#opening === opening) this.#lost = reason;
      },
    };
    const files = folder && new FolderFiles(folder);
    let engine: WasmEngine;
    try {
      engine = await this.#guarded(module, () =>
        files ? module.Engine.load(files, options) : module.Engine.loadBuiltin(options),
      );
    } catch (error) {
      throw files?.failure === undefined ? error : toAggregatorError(files.failure);
    }
    const { device, adapter, parameters, bytes } = engine.info();
    const name = choice.adapter ?? adapter;
    const info: AggregatorInfo = {
      model: request.model,
      device,
      ...(device === "webgpu" && name !== undefined && { adapter: name }),
      ...(choice.fallback !== undefined && { fallback: choice.fallback }),
      parameters,
      bytes,
    };
    this.#loaded = { engine, info };
    return this.#loaded;
  }

  /** Runs a call into the module. A panic leaves its promises hanging, and a lost device explains other failures. */
  async #guarded<T>(module: EngineModule, call: () => Promise<T>): Promise<T> {
    try {
      return await unlessPanic(module, call, () => {
        // What follows a panic is not to be trusted: the next call begins anew. Freeing would fail, it is in use.
        this.#loaded = undefined;
      });
    } catch (error) {
      // The reason of a loss may arrive just behind the failure that it caused.
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (this.#lost !== undefined && toAggregatorError(error).code !== "aborted") {
        throw new AggregatorError("device-lost", `the GPU was lost (${this.#lost})`, { cause: error });
      }
      if (toAggregatorError(error).code === "device-lost") this.#lost = toAggregatorError(error).message;
      throw toAggregatorError(error);
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    throwIfDisposed(this.#disposed);
    if (this.#busy) throw new AggregatorError("internal", "two calls of one engine overlap");
    this.#busy = true;
    try {
      const value = await work();
      throwIfDisposed(this.#disposed);
      return value;
    } catch (error) {
      throwIfDisposed(this.#disposed, error);
      throw toAggregatorError(error);
    } finally {
      this.#busy = false;
      if (this.#disposed) this.#free();
    }
  }

  #free(): void {
    const engine = this.#loaded?.engine;
    this.#loaded = undefined;
    this.#lost = undefined;
    this.#opening = undefined;
    try {
      engine?.free();
    } catch {
      // After a panic it counts as borrowed for ever; there is nothing more to do.
    }
  }
}

function throwIfDisposed(isDisposed: boolean, cause?: unknown): void {
  if (isDisposed) throw new AggregatorError("disposed", "the aggregator was disposed of", { cause });
}
