// Run before `npm pack` and `npm publish`: is everything built that the package is to contain? And brings the licences.
import { copyFileSync, existsSync } from "node:fs";

const root = new URL("../", import.meta.url);
const missing = [];
for (const file of ["dist/index.js", "dist/index.d.ts", "dist/worker.js", "dist/vote.js", "dist/client.js", "dist/json-schema/index.js"]) {
  if (!existsSync(new URL(file, root))) missing.push(`${file} (npm run build)`);
}
for (const build of ["full", "cpu", "client", "vote"]) {
  for (const file of ["conclave_web.js", "conclave_web.d.ts", "conclave_web_bg.wasm", "conclave_web_bg.wasm.d.ts"]) {
    if (!existsSync(new URL(`wasm/${build}/${file}`, root))) missing.push(`wasm/${build}/${file} (cargo xtask)`);
  }
}
if (!existsSync(new URL("wasm/full/builtin.bin", root))) missing.push("wasm/full/builtin.bin (cargo xtask)");
if (missing.length > 0) {
  console.error(`the package is not complete:\n  ${missing.join("\n  ")}`);
  process.exit(1);
}
for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) {
  copyFileSync(new URL(`../${licence}`, root), new URL(licence, root));
}
