// Blobs in the origin private file system, as files of one folder.

import { type Blobs, probeKey } from "./blobs.js";

const FOLDER = "conclave-models";

/** Of a file handle, what is used; `createWritable` is missing in some browsers, the other outside workers. */
interface FileHandle {
  getFile(): Promise<Blob>;
  createWritable?(): Promise<{ write(bytes: Uint8Array): Promise<void>; close(): Promise<void>; abort?(): Promise<void> }>;
  createSyncAccessHandle?(): Promise<SyncAccess>;
}

interface SyncAccess {
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

interface DirectoryHandle {
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  getDirectoryHandle(name: string, options?: { create: boolean }): Promise<DirectoryHandle>;
  removeEntry(name: string): Promise<void>;
  keys(): AsyncIterable<string>;
}

/** `navigator.storage`, as far as it is used. */
export interface StorageLike {
  getDirectory?(): Promise<unknown>;
}

const isMissing = (error: unknown) => error instanceof Error && error.name === "NotFoundError";

export class OpfsBlobs implements Blobs {
  readonly kind = "opfs";
  readonly #folder: DirectoryHandle;

  private constructor(folder: DirectoryHandle) {
    this.#folder = folder;
  }

  /** Throws where there is none, or none that this thread may write to: only trying tells. */
  static async open(storage: StorageLike): Promise<OpfsBlobs> {
    if (storage.getDirectory === undefined) throw new Error("no origin private file system");
    const root = (await storage.getDirectory()) as DirectoryHandle;
    const blobs = new OpfsBlobs(await root.getDirectoryHandle(FOLDER, { create: true }));
    const probe = probeKey();
    await blobs.put(probe, new Uint8Array(1));
    await blobs.delete(probe);
    return blobs;
  }

  async get(key: string, start = 0, end?: number): Promise<Uint8Array | undefined> {
    try {
      const file = await (await this.#folder.getFileHandle(key)).getFile();
      return new Uint8Array(await file.slice(start, end ?? file.size).arrayBuffer());
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const handle = await this.#folder.getFileHandle(key, { create: true });
    try {
      if (handle.createWritable !== undefined) {
        const stream = await handle.createWritable();
        try {
          await stream.write(bytes);
          await stream.close();
        } catch (error) {
          await stream.abort?.().catch(() => {});
          throw error;
        }
      } else if (handle.createSyncAccessHandle !== undefined) {
        const access = await handle.createSyncAccessHandle();
        try {
          access.truncate(0);
          const written = access.write(bytes, { at: 0 });
          if (written !== bytes.length) throw new DOMException("the disk is full", "QuotaExceededError");
          access.flush();
        } finally {
          access.close();
        }
      } else {
        throw new Error("files cannot be written in this thread");
      }
    } catch (error) {
      await this.delete(key).catch(() => {});
      throw error;
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await this.#folder.removeEntry(key);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async keys(): Promise<string[]> {
    const keys: string[] = [];
    for await (const key of this.#folder.keys()) keys.push(key);
    return keys;
  }
}
