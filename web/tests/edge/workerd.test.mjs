// The package in workerd, the runtime of Cloudflare Workers: on the processor, its modules imported. The clock stands still
// while it computes, and what is not a request has neither randomness nor network.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { build } from "esbuild";
import { makeProject } from "../project.mjs";
import { check, request } from "./expected.mjs";

const workerd = createRequire(import.meta.url)("workerd").default;

/** Bundles the worker as Wrangler does: the package's exports by the same conditions, wasm as modules of their own. */
async function bundle(project) {
  const modules = [];
  const wasmModules = {
    name: "wasm modules",
    setup({ onResolve }) {
      onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
        const name = `${modules.length}-${basename(path)}`;
        copyFileSync(join(resolveDir, path), join(project, name));
        modules.push(name);
        return { path: `./${name}`, external: true };
      });
    },
  };
  await build({
    absWorkingDir: project,
    entryPoints: ["worker.mjs"],
    outfile: "bundle.mjs",
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    plugins: [wasmModules],
    logLevel: "warning",
  });
  return modules;
}

/** The configuration of a server with one worker. No compatibility flags: the package needs nothing of Node.js. */
const configuration = (modules) => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  compatibilityDate = "2025-01-01",
  modules = [
    (name = "bundle.mjs", esModule = embed "bundle.mjs"),
    ${modules.map((name) => `(name = "./${name}", wasm = embed "${name}"),`).join("\n    ")}
  ],
);
`;

/** Starts the server; it tells its port by a third stream. */
async function serve(project, context) {
  const server = spawn(workerd, ["serve", "config.capnp", "--control-fd=3"], {
    cwd: project,
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  context.after(() => server.kill("SIGKILL"));
  server.on("error", (error) => server.stdio[3].destroy(error));
  for await (const line of createInterface({ input: server.stdio[3] })) {
    const { event, port } = JSON.parse(line);
    if (event === "listen") return `http://127.0.0.1:${port}/`;
  }
  throw new Error("workerd has ended");
}

test("workerd answers as the native program does", { timeout: 120_000 }, async (context) => {
  const project = makeProject(new URL("use.mjs", import.meta.url), new URL("worker.mjs", import.meta.url));
  const modules = await bundle(project);
  assert.equal(modules.length, 3, "the modules for the processor, for votes and for live APIs");
  writeFileSync(join(project, "config.capnp"), configuration(modules));
  const address = await serve(project, context);
  const response = await fetch(address, { method: "POST", body: JSON.stringify(request("cpu")) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const answer = JSON.parse(text);
  check(answer, "cpu");
  assert.equal(answer.gpu, "no-webgpu");
});
