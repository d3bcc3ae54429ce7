// Which storage there is: OPFS, else the Cache API, else memory.

import { type Blobs, MemoryBlobs, SpillingBlobs } from "./blobs.js";
import { CacheBlobs, type CachesLike } from "./cache-api.js";
import type { LocksLike } from "./lock.js";
import { OpfsBlobs, type StorageLike } from "./opfs.js";

/** What a host has. */
export interface StorageHost {
  storage?: StorageLike | undefined;
  caches?: CachesLike | undefined;
  locks?: LocksLike | undefined;
  /** Milliseconds that a stopped download has to keep what had arrived; 5,000 where nothing is said. */
  keepMs?: number | undefined;
}

/** One for a thread, so that a model is loaded again without a download after its device was lost. */
const memory = new MemoryBlobs();

/** Opens the best storage there is. Never fails: memory is always there. */
export async function openBlobs(host: StorageHost, wanted: "auto" | "memory"): Promise<Blobs> {
  if (wanted === "memory") return memory;
  // Both may be there and forbidden (private windows, insecure pages, third-party frames): then the next is tried.
  if (host.storage !== undefined) {
    try {
      return await OpfsBlobs.open(host.storage);
    } catch {}
  }
  if (host.caches !== undefined) {
    try {
      return await CacheBlobs.open(host.caches);
    } catch {}
  }
  return memory;
}

/** The same, with memory for what the storage does not take any more. */
export async function openSpillingBlobs(
  host: StorageHost,
  wanted: "auto" | "memory",
  warn: (message: string) => void,
): Promise<Blobs> {
  const store = await openBlobs(host, wanted);
  return store === memory ? store : new SpillingBlobs(store, memory, warn);
}

/** What this thread has, by the names of the web. */
export function globalStorage(): StorageHost {
  const { navigator, caches } = globalThis as {
    navigator?: { storage?: StorageLike; locks?: LocksLike };
    caches?: CachesLike;
  };
  return { storage: navigator?.storage, caches, locks: navigator?.locks };
}
