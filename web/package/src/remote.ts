// The page's side: an engine in a worker. A worker that crashes is replaced at the next call, from the cache.

import type { AggregateListener, AggregateRequest, Engine, LoadListener, LoadRequest } from "./engine.js";
import { AggregatorError, aborted, fromPlain } from "./errors.js";
import type { WorkerLike } from "./platform/platform.js";
import type { FromWorker, ToWorker } from "./protocol.js";
import type { AggregateResult, AggregatorInfo, SampleSetInput } from "./types.js";

interface Pending {
  id: number;
  on(message: FromWorker): void;
  reject(error: AggregatorError): void;
}

/** A worker that could not even be started, for which the page itself can stand in. */
export class WorkerStartError extends AggregatorError {}

export class RemoteEngine implements Engine {
  readonly #start: () => WorkerLike;
  readonly #base: string | undefined;
  #worker: WorkerLike | undefined;
  /** Whether the worker's script has run. */
  #isStarted = false;
  #request: LoadRequest | undefined;
  #pending: Pending | undefined;
  #nextId = 1;
  #disposed = false;

  constructor(start: () => WorkerLike, base: string | undefined) {
    this.#start = start;
    this.#base = base;
  }

  async load(request: LoadRequest, listener: LoadListener, signal: AbortSignal): Promise<AggregatorInfo> {
    this.#request = request;
    const load = (id: number): ToWorker => ({ type: "load", id, request, base: this.#base });
    let isDownloaded = false;
    const on = (message: FromWorker) => {
      if (message.type === "progress") {
        isDownloaded ||= ["weights", "self-test"].includes(message.progress.stage);
        listener.onProgress(message.progress);
      }
      if (message.type === "warning") listener.onWarning(message.message);
    };
    // Before its script has run and behind the download, the worker has nothing to keep, and may be too busy to answer.
    const mayKeep = () => this.#isStarted && !isDownloaded;
    try {
      return (await this.#call(load, "loaded", signal, on, mayKeep)).info;
    } catch (error) {
      // Half a load is of no use, and ending the worker is the one way to stop a module that is computing.
      this.#end();
      throw error;
    }
  }

  async aggregate(
    set: SampleSetInput,
    request: AggregateRequest,
    listener: AggregateListener,
    signal: AbortSignal,
  ): Promise<{ result: AggregateResult; info: AggregatorInfo }> {
    if (this.#worker === undefined && this.#request !== undefined) {
      await this.load(this.#request, { onProgress() {}, onWarning() {} }, signal);
    }
    const aggregate = (id: number): ToWorker => ({ type: "aggregate", id, set, request });
    const { result, info } = await this.#call(aggregate, "aggregated", signal, (message) => {
      if (message.type === "token") listener.onToken(message.text);
      if (message.type === "prompt") listener.onPrompt(message.done, message.total);
    });
    return { result, info };
  }

  dispose(): void {
    this.#disposed = true;
    this.#end();
    this.#fail(new AggregatorError("disposed", "the aggregator was disposed of"));
  }

  /**
   * Sends a request and gives its last answer; those before go to `on`. A stop is the worker's to answer, unless
   * `asksWorker` says that it need not be asked.
   */
  #call<T extends FromWorker["type"]>(
    request: (id: number) => ToWorker,
    last: T,
    signal: AbortSignal,
    on: (message: FromWorker) => void,
    asksWorker: () => boolean = () => true,
  ): Promise<Extract<FromWorker, { type: T }>> {
    return new Promise((resolve, reject) => {
      if (this.#disposed) throw new AggregatorError("disposed", "the aggregator was disposed of");
      if (signal.aborted) throw aborted(signal.reason);
      const id = this.#nextId++;
      const worker = (this.#worker ??= this.#startWorker());
      const onAbort = () => {
        if (asksWorker()) worker.postMessage({ type: "abort", id } satisfies ToWorker);
        else this.#fail(aborted(signal.reason));
      };
      const settle = () => {
        this.#pending = undefined;
        signal.removeEventListener("abort", onAbort);
      };
      this.#pending = {
        id,
        on: (message) => {
          if (message.type === last) {
            settle();
            resolve(message as Extract<FromWorker, { type: T }>);
          } else if (message.type === "failed") {
            settle();
            reject(fromPlain(message.error));
          } else {
            on(message);
          }
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      // What cannot be copied to a worker throws here.
      try {
        worker.postMessage(request(id));
      } catch (cause) {
        this.#pending.reject(new AggregatorError("input", `the arguments cannot be sent to a worker (${cause})`, { cause }));
      }
    });
  }

  #startWorker(): WorkerLike {
    let worker: WorkerLike;
    try {
      worker = this.#start();
    } catch (cause) {
      throw new WorkerStartError("unsupported", `a worker cannot be started (${cause})`, { cause, remedy: REMEDY });
    }
    this.#isStarted = false;
    const crash = (what: string) => {
      if (this.#worker !== worker) return;
      this.#end();
      this.#fail(
        this.#isStarted
          ? new AggregatorError("internal", `the worker crashed (${what})`, { remedy: "Call again: the model is loaded anew." })
          : new WorkerStartError("unsupported", `the worker cannot be started (${what})`, { remedy: REMEDY }),
      );
    };
    worker.addEventListener("message", ({ data }) => {
      const message = data as FromWorker;
      if (this.#worker !== worker) return;
      if (message.type === "started") this.#isStarted = true;
      else if (message.type === "crashed") crash(message.message);
      else if (message.id === this.#pending?.id) this.#pending.on(message);
    });
    worker.addEventListener("error", ({ message }) => crash(message || "no reason given"));
    worker.addEventListener("messageerror", () => crash("a message could not be read"));
    return worker;
  }

  #end(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.terminate();
  }

  #fail(error: AggregatorError): void {
    this.#pending?.reject(error);
  }
}

const REMEDY = "Use worker: false, or let the page start it: a CSP needs worker-src 'self', and the file the page's origin.";
