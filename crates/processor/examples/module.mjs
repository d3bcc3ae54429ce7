// Runs the module of `module.rs` under Node: `node module.mjs FILE.wasm [DIGEST]`. The digest is that of `tests/bits.rs`.
import { readFile } from "node:fs/promises";

const [file, expected] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(await readFile(file), {});
const { digest, load, run } = instance.exports;
const digests = [digest(0), digest(1)].map((value) => (value >>> 0).toString(16).padStart(8, "0"));
console.log(`digest: plain ${digests[0]}, best ${digests[1]}`);
if (digests[0] !== digests[1] || (expected && digests[0] !== expected)) {
  console.error("these are not the bits that other processors compute");
  process.exit(1);
}
for (const isInt8 of [0, 1]) {
  if (!load(isInt8)) throw new Error("the model was not made");
  run(4, 1);
  const rate = (tokens, isAtOnce) => {
    const start = performance.now();
    if (!run(tokens, isAtOnce)) throw new Error("a pass failed");
    return ((1000 * tokens) / (performance.now() - start)).toFixed(1);
  };
  console.log(`${isInt8 ? "int8" : "int4"}: read ${rate(128, 1)}, write ${rate(32, 0)} tokens/s`);
}
