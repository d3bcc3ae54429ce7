import assert from "node:assert/strict";
import { test } from "node:test";
import { headers, policy } from "../csp.ts";

test("the policy opens nothing that runs foreign code", () => {
  for (const place of ["meta", "header"] as const) {
    const text = policy(place);
    assert.match(text, /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
    assert.doesNotMatch(text, /unsafe-inline|'unsafe-eval'|\*|data:|blob:/);
    assert.match(text, /require-trusted-types-for 'script'/);
  }
});

test("a page in a meta tag cannot forbid frames, a header does", () => {
  assert.doesNotMatch(policy("meta"), /frame-ancestors/);
  assert.match(headers("header")["Content-Security-Policy"] ?? "", /frame-ancestors 'none'/);
});
