// A project of webpack 5.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import webpack from "webpack";
import { makeProject } from "../project.mjs";
import { check, serve } from "./page.mjs";

test("webpack builds a page that works", { timeout: 180_000 }, async (context) => {
  const project = makeProject(new URL("webpack/", import.meta.url), new URL("main.js", import.meta.url));
  const { default: config } = await import(pathToFileURL(join(project, "webpack.config.js")));
  const stats = await promisify(webpack)({ context: project, output: { path: join(project, "dist") }, ...config });
  assert.ok(!stats.hasErrors(), stats.toString("errors-only"));
  await check(await serve(project, context));
});
