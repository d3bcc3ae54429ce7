// The seam to where bytes are kept: named blobs, written whole, read by range. Files, models and resuming are built on
// top (`folder.ts`), once, so that each kind of storage is a few lines.

import { AggregatorError } from "../errors.js";

/** Blobs by key. Keys are of letters, digits and `._-@`. */
export interface Blobs {
  readonly kind: "opfs" | "cache" | "memory";
  /** The bytes from `start` to `end` (to the end of the blob by default); undefined where there is no such blob. */
  get(key: string, start?: number, end?: number): Promise<Uint8Array | undefined>;
  /** Writes a blob whole: after a failure the key has its old value or none. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  delete(key: string): Promise<void>;
  keys(): Promise<string[]>;
}

/**
 * A key to try writing with. A new one each time: tabs and workers try at the same time, and where they shared a key one
 * would delete what the other is writing, and take the failure for a store that cannot be used.
 */
export const probeKey = () => `probe-${Math.random().toString(36).slice(2)}`;

/** Blobs that are gone with the page. */
export class MemoryBlobs implements Blobs {
  readonly kind = "memory";
  readonly #blobs = new Map<string, Uint8Array>();

  async get(key: string, start = 0, end?: number): Promise<Uint8Array | undefined> {
    return this.#blobs.get(key)?.slice(start, end);
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    try {
      this.#blobs.set(key, bytes.slice());
    } catch (cause) {
      throw new AggregatorError("quota", `there is no memory for ${bytes.length} bytes more`, { cause });
    }
  }

  async delete(key: string): Promise<void> {
    this.#blobs.delete(key);
  }

  async keys(): Promise<string[]> {
    return [...this.#blobs.keys()];
  }
}

/** Blobs in a store that may run full: from then on they go to memory, with one warning. */
export class SpillingBlobs implements Blobs {
  readonly #store: Blobs;
  readonly #memory: MemoryBlobs;
  readonly #warn: (message: string) => void;
  #isFull = false;

  constructor(store: Blobs, memory: MemoryBlobs, warn: (message: string) => void) {
    this.#store = store;
    this.#memory = memory;
    this.#warn = warn;
  }

  get kind(): Blobs["kind"] {
    return this.#isFull ? "memory" : this.#store.kind;
  }

  async get(key: string, start?: number, end?: number): Promise<Uint8Array | undefined> {
    return (await this.#memory.get(key, start, end)) ?? this.#store.get(key, start, end);
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    if (!this.#isFull) {
      try {
        await this.#store.put(key, bytes);
        return await this.#memory.delete(key);
      } catch (error) {
        // Not only `QuotaExceededError`: what browsers say of a full or forbidden disk has many names. Indices go to
        // memory too from here on, so what the store keeps stays consistent: it is the state before this blob.
        this.#isFull = true;
        const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
        this.#warn(`the browser keeps no more of the model (${reason}); the rest stays in memory until the page closes`);
      }
    }
    await this.#memory.put(key, bytes);
  }

  async delete(key: string): Promise<void> {
    await Promise.all([this.#memory.delete(key), this.#store.delete(key)]);
  }

  async keys(): Promise<string[]> {
    return [...new Set([...(await this.#memory.keys()), ...(await this.#store.keys())])];
  }
}
