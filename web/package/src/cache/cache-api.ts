// Blobs as responses in the Cache API, for browsers without an origin private file system and for Deno.

import { type Blobs, probeKey } from "./blobs.js";

const NAME = "conclave-models";
/** The API wants addresses. Nothing is ever fetched from this one: `.invalid` is reserved for that. */
const ORIGIN = "https://models.conclave.invalid/";

/** `caches`, as far as it is used. */
export interface CachesLike {
  open(name: string): Promise<CacheLike>;
}

interface CacheLike {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
  delete(url: string): Promise<boolean>;
  keys?(): Promise<readonly Request[]>;
}

export class CacheBlobs implements Blobs {
  readonly kind = "cache";
  readonly #cache: CacheLike;

  private constructor(cache: CacheLike) {
    this.#cache = cache;
  }

  /** Throws where there is none that can be written to: only trying tells. */
  static async open(caches: CachesLike): Promise<CacheBlobs> {
    const blobs = new CacheBlobs(await caches.open(NAME));
    const probe = probeKey();
    await blobs.put(probe, new Uint8Array(1));
    if ((await blobs.get(probe))?.length !== 1) throw new Error("the cache does not keep what it is given");
    await blobs.delete(probe);
    return blobs;
  }

  async get(key: string, start = 0, end?: number): Promise<Uint8Array | undefined> {
    const response = await this.#cache.match(ORIGIN + key);
    if (response === undefined) return undefined;
    // As a blob, so that a range does not bring the whole into memory.
    const blob = await response.blob();
    return new Uint8Array(await blob.slice(start, end ?? blob.size).arrayBuffer());
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const headers = { "content-type": "application/octet-stream", "content-length": String(bytes.length) };
    await this.#cache.put(ORIGIN + key, new Response(bytes.slice(), { headers }));
  }

  async delete(key: string): Promise<void> {
    await this.#cache.delete(ORIGIN + key);
  }

  async keys(): Promise<string[]> {
    // Deno's has no list yet: models are kept and found there, but not listed.
    const requests = (await this.#cache.keys?.()) ?? [];
    return requests.flatMap(({ url }) => (url.startsWith(ORIGIN) ? [url.slice(ORIGIN.length)] : []));
  }
}
