// The package in Deno, which computes on WebGPU in a worker. Without a GPU Deno takes Mesa's software driver for Vulkan.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { makeProject } from "../project.mjs";
import { check, request } from "./expected.mjs";

const isCi = !["", "0", "false"].includes(process.env.CI ?? "");
/** The program itself, without the script around it, so that it ends where the test does. */
const deno = createRequire(import.meta.resolve("deno/package.json"))("./install_api.cjs").runInstall();

/** Runs Deno, as far as it may: it asks nothing and its notes are those of a driver. */
async function run(cwd, ...command) {
  const env = { ...process.env, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  return (await promisify(execFile)(deno, command, { cwd, env, timeout: 540_000 })).stdout;
}

test("Deno answers as the native program does, on WebGPU", { timeout: 600_000 }, async (context) => {
  const probe = 'console.log(JSON.stringify((await navigator.gpu?.requestAdapter())?.info.description ?? null))';
  const adapter = JSON.parse(await run(".", "eval", probe));
  if (adapter === null) {
    const reason = "Deno finds no GPU and no software driver (on Debian: apt-get install mesa-vulkan-drivers libvulkan1)";
    assert.ok(!isCi, reason);
    return context.skip(reason);
  }
  context.diagnostic(`adapter: ${adapter}`);
  const project = makeProject(new URL("use.mjs", import.meta.url), new URL("main.mjs", import.meta.url));
  // The device is left to the package, which has to choose it.
  writeFileSync(join(project, "request.json"), JSON.stringify(request()));
  // It needs to read its own files and nothing else: no network, no environment.
  const options = ["--no-prompt", "--cached-only", "--node-modules-dir=manual", "--allow-read=."];
  const answer = JSON.parse(await run(project, "run", ...options, "main.mjs", "request.json"));
  check(answer, "webgpu");
  assert.equal(answer.info.adapter, adapter);
});
