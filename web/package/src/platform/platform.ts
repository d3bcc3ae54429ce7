// What differs between hosts. Each entry of the package sets it once; everything else asks here.

import type { StorageHost } from "../cache/open.js";
import type { GpuLike } from "../device.js";
import { type Network, defaultNetwork } from "../http.js";
import type { EngineModule } from "../wasm.js";

/** A worker, as far as it is used. */
export interface WorkerLike {
  postMessage(message: unknown): void;
  terminate(): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "error" | "messageerror", listener: (event: { message?: string }) => void): void;
}

export interface Platform {
  /** Instantiates the module, once. */
  loadModule(): Promise<EngineModule>;
  /** `navigator.gpu`, where the module of this host can use it. */
  gpu: GpuLike | undefined;
  storage: StorageHost;
  network: Network;
  /** What relative addresses of models are relative to. */
  base: string | undefined;
  /** Starts a worker; undefined where there are none. */
  startWorker: (() => WorkerLike) | undefined;
}

/** `navigator.gpu`. */
export function globalGpu(): GpuLike | undefined {
  return (globalThis as { navigator?: { gpu?: GpuLike } }).navigator?.gpu;
}

/** The page's address, where there is a page. */
export function globalBase(): string | undefined {
  return (globalThis as { location?: { href?: string } }).location?.href;
}

let current: Platform | undefined;

/** Says what host this is. */
export function setPlatform(platform: Omit<Platform, "network">): void {
  current = { ...platform, network: defaultNetwork() };
}

export function platform(): Platform {
  if (current === undefined) throw new Error("this module is reached only through an entry of the package");
  return current;
}
