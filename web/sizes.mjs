// What a page has to download: the modules after wasm-opt and the JavaScript around them, compressed, against their budgets.
// Run by `cargo xtask sizes`, which makes what is measured: `node web/sizes.mjs FOLDER`, with FOLDER/{full,cpu,client,vote}.wasm.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/**
 * The most bytes that each may have; of what is not here the size is only printed. That of votes holds the whole reader, its
 * notations, units and languages, equivalence (185 KB of gzip), and kinds of answers: labels, records, calls, texts.
 */
const BUDGETS = {
  "full.wasm": { gzip: 4_000_000, brotli: 2_600_000 },
  "vote.wasm": { gzip: 255_000 },
  JavaScript: { gzip: 30_000 },
};

const web = fileURLToPath(new URL(".", import.meta.url));
const folder = process.argv[2];
if (folder === undefined) {
  console.error("usage: node web/sizes.mjs FOLDER, which holds full.wasm, cpu.wasm, client.wasm and vote.wasm");
  process.exit(2);
}

/** Compressing ten megabytes as well as brotli can takes half a minute, so sizes are kept by the hash of the content. */
const cacheFile = join(folder, "sizes.json");
let known = {};
try {
  known = JSON.parse(readFileSync(cacheFile, "utf8"));
} catch {
  // There is none yet.
}

/** The sizes of what a browser gets in one answer each. */
function measure(contents) {
  const sums = { raw: 0, gzip: 0, brotli: 0 };
  for (const bytes of contents) {
    const hash = createHash("sha256").update(bytes).digest("hex");
    known[hash] ??= {
      raw: bytes.length,
      gzip: gzipSync(bytes, { level: 9 }).length,
      // The largest window that browsers have to know.
      brotli: brotliCompressSync(bytes, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_LGWIN]: 24,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
      }).length,
    };
    used[hash] = known[hash];
    for (const kind in sums) sums[kind] += known[hash][kind];
  }
  return sums;
}

/**
 * Everything that `index.js` reaches, its worker and the bindings of the full module, as a bundler gives it: each module
 * once, without comments and long names. The bundler is that of the demo. What is loaded with a JSON Schema alone is apart.
 */
async function scripts() {
  const demo = createRequire(new URL("../www/package.json", import.meta.url));
  const bundler = createRequire(demo.resolve("vite"));
  const { rolldown } = await import(pathToFileURL(bundler.resolve("rolldown")).href);
  const bundle = await rolldown({
    input: { index: join(web, "dist/index.js"), worker: join(web, "dist/worker.js") },
    platform: "browser",
    logLevel: "silent",
  });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  await bundle.close();
  const chunks = output.filter(({ type }) => type === "chunk");
  const isLater = ({ isEntry, moduleIds }) => !isEntry && moduleIds.some((id) => /\/schema\.js$|\/json-schema\//.test(id));
  const codes = (wanted) => chunks.filter((chunk) => isLater(chunk) === wanted).map(({ code }) => Buffer.from(code));
  return { first: codes(false), schemas: codes(true) };
}

const used = {};
const rows = [];
for (const build of ["full", "cpu", "client", "vote"]) {
  rows.push([`${build}.wasm`, measure([readFileSync(join(folder, `${build}.wasm`))])]);
}
rows.push(["builtin.bin", measure([readFileSync(join(web, "wasm/full/builtin.bin"))])]);
const { first, schemas } = await scripts();
rows.push(["JavaScript", measure(first)], ["JSON Schemas", measure(schemas)]);
writeFileSync(cacheFile, JSON.stringify(used));

const bytes = (count) => count.toLocaleString("en-US");
let failed = false;
console.log(["", "bytes", "gzip -9", "brotli -q 11", ""].map((head) => head.padStart(14)).join(""));
for (const [name, sizes] of rows) {
  const budget = BUDGETS[name] ?? {};
  const within = Object.entries(budget).every(([kind, most]) => sizes[kind] <= most);
  failed ||= !within;
  const limits = Object.entries(budget).map(([kind, most]) => `${kind} ${bytes(most)}`);
  const note = limits.length > 0 ? `  ${within ? "within" : "ABOVE"} ${limits.join(", ")}` : "";
  const columns = [sizes.raw, sizes.gzip, sizes.brotli].map((size) => bytes(size).padStart(14)).join("");
  console.log(name.padStart(14) + columns + note);
}
if (failed) {
  console.error("error: the package is larger than its budget");
  process.exit(1);
}
