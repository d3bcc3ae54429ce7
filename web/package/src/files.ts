// A model folder as the wasm module reads it.

import type { ModelFolder } from "./cache/folder.js";
import type { WasmFiles } from "./wasm.js";

/** Keeps the reason of a failing read: on its way through the module an error loses its code. */
export class FolderFiles implements WasmFiles {
  readonly #folder: ModelFolder;
  /** What the last failing read failed with. */
  failure: unknown;

  constructor(folder: ModelFolder) {
    this.#folder = folder;
  }

  async len(file: string): Promise<number | undefined> {
    return this.#folder.length(file);
  }

  async read(file: string, start: number, end: number): Promise<Uint8Array> {
    try {
      return await this.#folder.read(file, start, end);
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}
