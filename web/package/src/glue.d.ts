// The bindings that wasm-bindgen writes into `wasm/`, which need not be there when this is compiled.

declare module "*/conclave_web.js" {
  const init: (options?: { module_or_path: unknown }) => Promise<unknown>;
  export default init;
}

declare module "*/conclave_web_bg.wasm" {
  const module: unknown;
  export default module;
}
