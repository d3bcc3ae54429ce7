// The worker's side: a local engine behind messages. `worker.ts` and its kin bind it to a host.

import { LocalEngine } from "./engine.js";
import { toPlain } from "./errors.js";
import type { Platform } from "./platform/platform.js";
import type { FromWorker, ToWorker } from "./protocol.js";
import type { LoadProgress } from "./types.js";

/** Of a worker's global scope, what is used. */
export interface WorkerScope {
  postMessage(message: FromWorker): void;
  addEventListener(type: "message", listener: (event: { data: ToWorker }) => void): void;
  addEventListener(type: "error", listener: (event: { message?: string }) => void): void;
  addEventListener(type: "unhandledrejection", listener: (event: { reason?: unknown }) => void): void;
}

/** Milliseconds between two messages of progress: a page cannot show more. */
const PROGRESS_MS = 50;

/** Milliseconds in which an engine has answered if it is going to. */
const CRASH_MS = 100;

/**
 * Passes on at most one report every `PROGRESS_MS`, and always the last one before a silence: a download that stalls is
 * shown where it stalled.
 */
class Reports {
  readonly #send: (progress: LoadProgress) => void;
  #stage = "";
  #sentAt = -PROGRESS_MS;
  #waiting: LoadProgress | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: (progress: LoadProgress) => void) {
    this.#send = send;
  }

  add(progress: LoadProgress): void {
    const isEnd = progress.loaded === progress.total || progress.stage !== this.#stage;
    const wait = this.#sentAt + PROGRESS_MS - performance.now();
    if (isEnd || wait <= 0) return this.#pass(progress);
    this.#waiting = progress;
    this.#timer ??= setTimeout(() => this.#waiting && this.#pass(this.#waiting), wait);
  }

  /** Nothing is passed on any more. */
  end(): void {
    clearTimeout(this.#timer);
    [this.#timer, this.#waiting] = [undefined, undefined];
  }

  #pass(progress: LoadProgress): void {
    this.end();
    [this.#sentAt, this.#stage] = [performance.now(), progress.stage];
    this.#send(progress);
  }
}

export function serve(scope: WorkerScope, platform: Platform): void {
  const engine = new LocalEngine(platform);
  const aborts = new Map<number, AbortController>();

  const answer = async (id: number, work: (signal: AbortSignal) => Promise<FromWorker>) => {
    const controller = new AbortController();
    aborts.set(id, controller);
    let message: FromWorker;
    try {
      message = await work(controller.signal);
    } catch (error) {
      message = { type: "failed", id, error: toPlain(error) };
    }
    aborts.delete(id);
    scope.postMessage(message);
  };

  scope.addEventListener("message", ({ data }) => {
    if (data.type === "abort") {
      aborts.get(data.id)?.abort();
    } else if (data.type === "load") {
      const { id, request } = data;
      // A worker's own address is that of its script; models are relative to the page.
      platform.base = data.base;
      const reports = new Reports((progress) => scope.postMessage({ type: "progress", id, progress }));
      void answer(id, async (signal) => {
        const listener = {
          onProgress: (progress: LoadProgress) => reports.add(progress),
          onWarning: (message: string) => scope.postMessage({ type: "warning", id, message }),
        };
        try {
          return { type: "loaded", id, info: await engine.load(request, listener, signal) };
        } finally {
          reports.end();
        }
      });
    } else {
      const { id, set, request } = data;
      void answer(id, async (signal) => {
        const listener = {
          onToken: (text: string) => scope.postMessage({ type: "token", id, text }),
          onPrompt: (done: number, total: number) => scope.postMessage({ type: "prompt", id, done, total }),
        };
        return { type: "aggregated", id, ...(await engine.aggregate(set, request, listener, signal)) };
      });
    }
  });

  // What nobody awaits (a trap of the module within a task of its own) would leave the page waiting for ever.
  scope.addEventListener("error", ({ message }) => crash(message));
  scope.addEventListener("unhandledrejection", ({ reason }) => crash(reason));
  const crash = (reason: unknown) => {
    const message = reason instanceof Error ? reason.message : String(reason);
    // Behind the answer of an engine that noticed it itself, and knows more.
    setTimeout(() => aborts.size > 0 && scope.postMessage({ type: "crashed", message }), CRASH_MS);
  };
  scope.postMessage({ type: "started" });
}
