// The README says what the code does: every code with its row, a quick start of twelve lines at most.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { REMEDIES } from "../src/errors.js";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("the table has every code, once, in order", () => {
  const rows = [...readme.matchAll(/^\| `([a-z-]+)` \| [^|]+ \| [^|]+ \|$/gm)].map((row) => row[1]);
  assert.deepEqual(rows, Object.keys(REMEDIES));
});

test("the quick start is twelve lines at most", () => {
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1];
  assert.ok(code !== undefined && code.trimEnd().split("\n").length <= 12);
});
