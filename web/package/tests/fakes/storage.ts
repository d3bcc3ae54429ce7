// Stand-ins for a browser's storage, with its errors.

import type { CachesLike } from "../../src/cache/cache-api.js";
import type { StorageLike } from "../../src/cache/opfs.js";

const named = (name: string) => new DOMException(`${name} of the fake`, name);

export interface FakeStorageOptions {
  /** How files can be written: as in newer browsers, only as in workers of older ones, or not at all. */
  writing?: "stream" | "sync" | "none";
  /** Bytes that fit. */
  quota?: number;
  /** What opening fails with, as in private windows. */
  denied?: boolean;
  /** What writing a file waits for: a slow disk, or one that never answers. */
  disk?: () => Promise<void>;
}

/** An origin private file system. */
export class FakeOpfs implements StorageLike {
  readonly files = new Map<string, Uint8Array>();
  /** How many are writing each file; as in browsers it cannot be removed then. */
  readonly #writers = new Map<string, number>();
  readonly options: FakeStorageOptions;

  constructor(options: FakeStorageOptions = {}) {
    this.options = options;
  }

  get used(): number {
    return [...this.files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  }

  async getDirectory(): Promise<unknown> {
    if (this.options.denied) throw named("SecurityError");
    return { getDirectoryHandle: async () => this.#folder() };
  }

  #folder() {
    const files = this.files;
    return {
      getFileHandle: async (name: string, { create = false } = {}) => {
        if (!files.has(name)) {
          if (!create) throw named("NotFoundError");
          files.set(name, new Uint8Array());
        }
        return this.#file(name);
      },
      removeEntry: async (name: string) => {
        if (this.#isOpen(name)) throw named("NoModificationAllowedError");
        if (!files.delete(name)) throw named("NotFoundError");
      },
      async *keys() {
        yield* [...files.keys()];
      },
    };
  }

  #isOpen(name: string): boolean {
    return (this.#writers.get(name) ?? 0) > 0;
  }

  /** Begins to write a file; returns what ends it. */
  #open(name: string): () => void {
    this.#writers.set(name, (this.#writers.get(name) ?? 0) + 1);
    return () => void this.#writers.set(name, this.#writers.get(name)! - 1);
  }

  #file(name: string) {
    const { writing = "stream", quota = Infinity } = this.options;
    const free = () => quota - this.used;
    const file = { getFile: async () => new Blob([this.files.get(name)! as Uint8Array<ArrayBuffer>]) };
    if (writing === "stream") {
      const createWritable = async () => {
        let written = new Uint8Array();
        const close = this.#open(name);
        return {
          write: async (bytes: Uint8Array) => {
            if (bytes.length > free()) throw named("QuotaExceededError");
            written = bytes.slice();
          },
          // As in browsers, nothing is there before it is closed.
          close: async () => {
            await this.options.disk?.();
            this.files.set(name, written);
            close();
          },
          abort: async () => close(),
        };
      };
      return { ...file, createWritable };
    }
    if (writing === "none") return file;
    const createSyncAccessHandle = async () => {
      // Unlike streams, one at a time.
      if (this.#isOpen(name)) throw named("NoModificationAllowedError");
      const close = this.#open(name);
      await this.options.disk?.();
      return {
        truncate: () => void this.files.set(name, new Uint8Array()),
        write: (bytes: Uint8Array) => {
          const part = bytes.slice(0, Math.max(0, Math.min(bytes.length, free())));
          this.files.set(name, part);
          return part.length;
        },
        flush: () => {},
        close,
      };
    };
    return { ...file, createSyncAccessHandle };
  }
}

/** A Cache API. */
export class FakeCaches implements CachesLike {
  readonly entries = new Map<string, Uint8Array>();
  readonly options: FakeStorageOptions;

  constructor(options: FakeStorageOptions = {}) {
    this.options = options;
  }

  async open() {
    if (this.options.denied) throw named("SecurityError");
    return {
      match: async (url: string) => {
        const bytes = this.entries.get(url);
        return bytes && new Response(bytes as Uint8Array<ArrayBuffer>);
      },
      put: async (url: string, response: Response) => {
        const bytes = new Uint8Array(await response.arrayBuffer());
        await this.options.disk?.();
        const used = [...this.entries.values()].reduce((sum, bytes) => sum + bytes.length, 0);
        if (used + bytes.length > (this.options.quota ?? Infinity)) throw named("QuotaExceededError");
        this.entries.set(url, bytes);
      },
      delete: async (url: string) => this.entries.delete(url),
      keys: async () => [...this.entries.keys()].map((url) => new Request(url)),
    };
  }
}
