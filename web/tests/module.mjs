// The module under test and the data that the native tests read too.
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = process.env.CONCLAVE_WEB_DIR ?? join(root, "target", "web", "node");
if (!existsSync(join(folder, "conclave_web.js"))) {
  throw new Error(`there is no build of conclave-web in ${folder}: run \`cargo xtask wasm\``);
}

// The bindings keep the instance to themselves; its memory is wanted by a test.
let instance;
const Instance = WebAssembly.Instance;
WebAssembly.Instance = class extends Instance {
  constructor(...args) {
    super(...args);
    instance = this;
  }
};
export const conclave = createRequire(import.meta.url)(join(folder, "conclave_web.js"));
WebAssembly.Instance = Instance;

/** The bytes of memory that the module has taken so far. */
export const memorySize = () => instance.exports.memory.buffer.byteLength;
/** The bytes of one of the modules: "full", "cpu", "client" or "vote". They lie beside the one for Node.js. */
export const wasm = (build) => readFileSync(join(folder, "..", build, "conclave_web_bg.wasm"));
export const data = (path) => readFileSync(join(root, "tests", "data", path));

/** The values of a JSONL file. */
export function lines(path) {
  const text = data(path).toString("utf8");
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
}

/** For `assert.throws`: a typed error with this code whose message contains `part`. */
export const conclaveError = (code, part) => (error) =>
  error instanceof Error && error.name === "ConclaveError" && error.code === code && error.message.includes(part);
