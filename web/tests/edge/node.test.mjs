// The package in Node.js, which computes on the processor.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeProject } from "../project.mjs";
import { check, request } from "./expected.mjs";

test("Node.js answers as the native program does", { timeout: 120_000 }, () => {
  const project = makeProject(new URL("use.mjs", import.meta.url), new URL("main.mjs", import.meta.url));
  writeFileSync(join(project, "request.json"), JSON.stringify(request("cpu")));
  const output = execFileSync(process.execPath, ["main.mjs", "request.json"], { cwd: project, encoding: "utf8" });
  const answer = JSON.parse(output);
  check(answer, "cpu");
  assert.equal(answer.gpu, "no-webgpu");
  assert.equal(answer.info.fallback, undefined);
});
