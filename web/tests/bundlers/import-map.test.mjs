// A page without a bundler, which names the package by an import map.
import { test } from "node:test";
import { makeProject } from "../project.mjs";
import { check, serve } from "./page.mjs";

test("an import map is all that a page needs", { timeout: 180_000 }, async (context) => {
  const project = makeProject(new URL("import-map/", import.meta.url), new URL("main.js", import.meta.url));
  await check(await serve(project, context));
});
