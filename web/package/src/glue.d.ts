// The bindings that wasm-bindgen writes into `wasm/`, which need not be there when this is compiled.

declare module "*/conclave_web.js" {
  const init: (options?: { module_or_path: unknown }) => Promise<unknown>;
  export default init;
}

declare module "*/conclave_web_bg.wasm" {
  const module: unknown;
  export default module;
}

// The checker of JSON Schemas that `vendor.mjs` brings.

declare module "*/json-schema/index.js" {
  type Draft = "4" | "7" | "2019-09" | "2020-12";
  type Schema = boolean | { [keyword: string]: unknown };

  export class Validator {
    constructor(schema: Schema, draft: Draft, shortCircuit?: boolean);
    validate(instance: unknown): { valid: boolean; errors: { instanceLocation: string; error: string }[] };
  }

  /** Every schema within one, by its address. */
  export function dereference(schema: Schema): Record<string, Schema>;
}
