// A project of Vite, as it is built and in Vite's development server.
import { join } from "node:path";
import { test } from "node:test";
import { build, createServer } from "vite";
import { makeProject } from "../project.mjs";
import { check, serve } from "./page.mjs";

const root = makeProject(new URL("vite/", import.meta.url), new URL("main.js", import.meta.url));

test("Vite builds a page that works", { timeout: 180_000 }, async (context) => {
  await build({ root, logLevel: "warn" });
  await check(await serve(join(root, "dist"), context));
});

test("Vite's development server serves a page that works", { timeout: 180_000 }, async (context) => {
  const server = await createServer({ root, logLevel: "warn", server: { host: "127.0.0.1", port: 0 } });
  context.after(() => server.close());
  await server.listen();
  await check(server.resolvedUrls.local[0]);
});
