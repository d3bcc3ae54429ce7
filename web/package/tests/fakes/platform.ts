// A host for tests, and a worker that is none: the same messages, copied as between threads, in one.

import type { StorageHost } from "../../src/cache/open.js";
import type { GpuLike } from "../../src/device.js";
import { throwIfAborted } from "../../src/errors.js";
import type { Network } from "../../src/http.js";
import { defaultNetwork } from "../../src/http.js";
import type { Platform, WorkerLike } from "../../src/platform/platform.js";
import { type WorkerScope, serve } from "../../src/serve.js";
import { FakeModule } from "./module.js";
import { FakeOpfs } from "./storage.js";

/** The network without its waits. */
export function quickNetwork(changes: Partial<Network> = {}): Network {
  const sleep = async (_: number, signal?: AbortSignal) => throwIfAborted(signal);
  return { ...defaultNetwork(), sleep, stallMs: 2_000, attempts: 3, ...changes };
}

export type FakePlatform = Platform & { module: FakeModule; storage: StorageHost & { storage: FakeOpfs } };

export function fakePlatform(changes: Partial<Platform> = {}): FakePlatform {
  const module = new FakeModule();
  return {
    module,
    loadModule: async () => module,
    gpu: undefined,
    network: quickNetwork(),
    base: undefined,
    startWorker: undefined,
    ...changes,
    storage: { storage: new FakeOpfs() },
  };
}

/** A GPU that has all that is needed, save what is changed. */
export function fakeGpu(changes: { adapter?: null; features?: string[]; limits?: Record<string, number> } = {}): GpuLike {
  const limits = { maxStorageBufferBindingSize: 128 << 20, maxBufferSize: 256 << 20, maxStorageBuffersPerShaderStage: 8,
    maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupSizeX: 256, maxComputeWorkgroupStorageSize: 16384 };
  const adapter = {
    features: new Set(changes.features ?? ["timestamp-query"]),
    limits: { ...limits, ...changes.limits },
    info: { vendor: "acme", architecture: "rocket" },
  };
  return { requestAdapter: async () => (changes.adapter === null ? null : adapter) };
}

type Listener = (event: never) => void;

/** A worker in this thread. */
export class FakeWorker implements WorkerLike {
  readonly #outside = new Map<string, Listener[]>();
  readonly #inside = new Map<string, Listener[]>();
  terminated = false;

  /** `failing` never runs its script, as where a CSP forbids it. */
  constructor(platform: Platform, failing?: string) {
    setTimeout(() => {
      if (this.terminated) return;
      if (failing !== undefined) return this.#emit(this.#outside, "error", { message: failing });
      const scope: WorkerScope = {
        postMessage: (message) => this.#later(this.#outside, message),
        addEventListener: (type: string, listener: Listener) => listen(this.#inside, type, listener),
      };
      serve(scope, platform);
      this.#isRunning = true;
      for (const message of this.#early.splice(0)) this.#later(this.#inside, message);
    }, 0);
  }

  #isRunning = false;
  readonly #early: unknown[] = [];

  postMessage(message: unknown): void {
    const copy: unknown = structuredClone(message);
    if (this.#isRunning) this.#later(this.#inside, copy);
    else this.#early.push(copy);
  }

  terminate(): void {
    this.terminated = true;
  }

  addEventListener(type: string, listener: Listener): void {
    listen(this.#outside, type, listener);
  }

  /** Something that nobody awaits goes wrong within. */
  crash(message: string): void {
    this.#emit(this.#inside, "error", { message });
  }

  #later(side: Map<string, Listener[]>, message: unknown): void {
    const data: unknown = structuredClone(message);
    setTimeout(() => this.terminated || this.#emit(side, "message", { data }), 0);
  }

  #emit(side: Map<string, Listener[]>, type: string, event: object): void {
    for (const listener of side.get(type) ?? []) listener(event as never);
  }
}

function listen(side: Map<string, Listener[]>, type: string, listener: Listener): void {
  side.set(type, [...(side.get(type) ?? []), listener]);
}
