// Brings the checker of JSON Schemas into a build: `node package/vendor.mjs FOLDER`. It is copied rather than depended on, so that
// the package works without a registry, in import maps of one line, and with the version that it was tested with.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("../node_modules/@cfworker/json-schema/", import.meta.url));
const target = join(process.argv[2], "json-schema");
const { name, version, author, license, homepage } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
if (license !== "MIT") throw new Error(`${name} ${version} is under ${license}: look at what that asks for`);

mkdirSync(target, { recursive: true });
for (const file of readdirSync(join(source, "dist/esm"))) {
  if (!file.endsWith(".js")) continue;
  const code = readFileSync(join(source, "dist/esm", file), "utf8");
  // Its source maps stay behind.
  writeFileSync(join(target, file), code.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n"));
}
const permission = readFileSync(new URL("MIT.txt", import.meta.url), "utf8");
writeFileSync(join(target, "LICENSE"), `${name} ${version}, ${homepage}\n\nCopyright (c) ${author}\n\n${permission}`);
