// A wasm module that is loaded at the first use.

import { AggregatorError } from "./errors.js";

export class LazyModule<M> {
  #load: (() => Promise<M>) | undefined;
  #loading: Promise<M> | undefined;

  /** Says how the module is instantiated here. Each entry of the package does so once. */
  set(loader: () => Promise<M>): void {
    this.#load = loader;
    this.#loading = undefined;
  }

  /** The module; after a failure the next use tries again. */
  async get(): Promise<M> {
    if (this.#load === undefined) throw new Error("this module is reached only through an entry of the package");
    this.#loading ??= this.#load();
    try {
      return await this.#loading;
    } catch (cause) {
      this.#loading = undefined;
      const reason = cause instanceof Error ? cause.message : String(cause);
      const remedy = "Check that the package's .wasm files are served, and that a CSP has 'wasm-unsafe-eval'.";
      throw new AggregatorError("unsupported", `the wasm module cannot be started (${reason})`, { cause, remedy });
    }
  }
}
