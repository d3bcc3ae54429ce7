// The quick starts of the READMEs run as they stand there, and print what they say.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeProject } from "../project.mjs";

const project = makeProject();

/** The first program of a README, behind a heading where one is named. */
function quickStart(path, heading = "") {
  const text = readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
  assert.ok(text.includes(heading), `${path} has no ${heading}`);
  const code = /```js\n([\s\S]*?)```/.exec(text.slice(text.indexOf(heading)))?.[1];
  assert.ok(code !== undefined, `${path} has no program`);
  assert.ok(code.trimEnd().split("\n").length <= 12, `${path}: more than twelve lines`);
  return code;
}

/** What it prints, by lines. */
function run(code) {
  writeFileSync(join(project, "start.mjs"), code);
  const options = { cwd: project, encoding: "utf8", timeout: 60_000 };
  return execFileSync(process.execPath, ["start.mjs"], options).trimEnd().split("\n");
}

test("the quick start of README.md prints what its comments say", () => {
  const code = quickStart("README.md", "## In the browser and on the edge");
  const printed = [...code.matchAll(/console\.log\(.*\);? *\/\/ (.*)$/gm)].map(([, comment]) => comment);
  assert.equal(printed.length, 2);
  assert.deepEqual(run(code), printed);
});

test("the votes of web/README.md print what their comments say", () => {
  const code = quickStart("web/README.md", "## Votes");
  const printed = [...code.matchAll(/console\.log\(.*\);? *\/\/ (.*)$/gm)].map(([, comment]) => comment);
  assert.equal(printed.length, 2);
  assert.deepEqual(run(code), printed);
});

test("the quick start of web/README.md finds the answer", () => {
  assert.match(run(quickStart("web/README.md")).at(-1), /^12030 0\.99\d* generate$/);
});
