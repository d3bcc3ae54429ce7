// What `npm pack` contains: everything that is needed, and nothing else.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

/** `web/`, of which this file is compiled into `build/tests/`. */
const web = fileURLToPath(new URL("../../", import.meta.url));
const BUILDS = ["full", "cpu", "client", "vote"].map((build) => join("wasm", build));
const BINDINGS = ["conclave_web.js", "conclave_web.d.ts", "conclave_web_bg.wasm", "conclave_web_bg.wasm.d.ts"];

let root: string;
let copy: string;

/** A copy of the package in which the wasm modules, whose making takes minutes, are empty files; and some litter. */
before(() => {
  root = mkdtempSync(join(tmpdir(), "conclave-pack-"));
  copy = join(root, "web");
  mkdirSync(copy);
  for (const name of ["package.json", "README.md", "package", "dist"]) {
    cpSync(join(web, name), join(copy, name), { recursive: true });
  }
  for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) cpSync(join(web, "..", licence), join(root, licence));
  for (const build of BUILDS) {
    mkdirSync(join(copy, build), { recursive: true });
    for (const file of [...BINDINGS, "builtin.bin", ".gitignore", "package.json", "note.txt"]) writeFileSync(join(copy, build, file), "");
  }
  for (const folder of ["build", "src", "node_modules/x"]) {
    mkdirSync(join(copy, folder), { recursive: true });
    writeFileSync(join(copy, folder, "litter.js"), "");
  }
});
after(() => rmSync(root, { recursive: true, force: true }));

/** The sources' paths without endings. */
function sources(folder = join(web, "package/src"), prefix = ""): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return sources(join(folder, entry.name), `${prefix}${entry.name}/`);
    return entry.name.endsWith(".d.ts") ? [] : [prefix + entry.name.replace(/\.ts$/, "")];
  });
}

const npm = (...command: string[]) =>
  execFileSync("npm", command, { cwd: copy, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

test("what is needed and nothing else", () => {
  const output = npm("pack", "--dry-run", "--json");
  const [packed] = JSON.parse(output.slice(output.indexOf("["))) as { files: { path: string }[] }[];
  const checker = readdirSync(join(web, "node_modules/@cfworker/json-schema/dist/esm")).filter((file) => file.endsWith(".js"));
  const expected = [
    ...[...checker, "LICENSE"].map((file) => `dist/json-schema/${file}`),
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "package.json",
    ...sources().flatMap((source) => [`dist/${source}.js`, `dist/${source}.d.ts`]),
    ...BUILDS.flatMap((build) => BINDINGS.map((file) => `${build}/${file}`)),
    "wasm/full/builtin.bin",
  ];
  assert.deepEqual(packed!.files.map(({ path }) => path).sort(), expected.sort());
});

test("an incomplete package is not packed", () => {
  rmSync(join(copy, "wasm/cpu/conclave_web_bg.wasm"));
  assert.throws(() => npm("pack", "--dry-run", "--json"), /wasm\/cpu\/conclave_web_bg\.wasm \(cargo xtask\)/);
});

test("every entry is there, and nothing is imported that is not", () => {
  const manifest = JSON.parse(readFileSync(join(web, "package.json"), "utf8")) as {
    exports: Record<string, string | Record<string, string>>;
    dependencies?: unknown;
  };
  assert.equal(manifest.dependencies, undefined);
  for (const entry of [manifest.exports["."], manifest.exports["./vote"], manifest.exports["./client"]]) {
    assert.deepEqual(Object.keys(entry!), ["types", "workerd", "deno", "browser", "node", "default"]);
    for (const file of Object.values(entry!)) assert.ok(existsSync(join(web, file)), file);
  }
  for (const source of sources()) {
    const text = readFileSync(join(web, "dist", `${source}.js`), "utf8");
    for (const [, specifier] of text.matchAll(/(?:from|import) ?\(?"([^"]+)"/g)) {
      const file = join(web, "dist", source, "..", specifier!);
      assert.ok(specifier!.startsWith(".") && (file.includes("/wasm/") || existsSync(file)), `${source}: ${specifier}`);
    }
    assert.doesNotMatch(text, /\beval\(|new Function\(/, "a strict CSP forbids it");
  }
});

test("the small entries need nothing of the large one", () => {
  const reached = (entry: string) => {
    const seen = new Set<string>();
    const visit = (path: string) => {
      if (seen.has(path)) return;
      seen.add(path);
      const text = readFileSync(join(web, "dist", path), "utf8");
      for (const [, specifier] of text.matchAll(/from "(\.\/[^"]+)"/g)) visit(specifier!.slice(2));
    };
    visit(entry);
    return [...seen].map((path) => path.replace(/\.js$/, "")).sort();
  };
  assert.deepEqual(reached("vote.js"), ["candidates", "errors", "lazy", "vote", "vote-api", "votes"]);
  assert.deepEqual(reached("client.js"), ["callbacks", "client", "client-api", "errors", "lazy", "panic", "sample"]);
});
