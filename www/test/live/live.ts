// The built page with the real package in Chromium, against a real server: LiteLLM's proxy, which
// `crates/xtask/scripts/litellm.py --demo` starts. It prints what holds and fails where something does not. With
// SCREENSHOT=FILE it leaves a picture there.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import type { Page } from "puppeteer-core";
import { preview } from "vite";

const URL_OF_API = given("LITELLM_URL");
const KEY = given("LITELLM_KEY");
const WRONG_KEY = given("LITELLM_WRONG_KEY");
const EVENTS = given("LITELLM_EVENTS");
const PROBLEM = given("LITELLM_PROBLEM");
const ANSWER = given("LITELLM_ANSWER");
const SCREENSHOT = process.env["SCREENSHOT"];
const FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // WebGPU without a GPU.
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
];
/** A software adapter on a busy machine takes minutes for what a GPU does at once. */
const PATIENCE = 600_000;

const downloads = mkdtempSync(join(tmpdir(), "conclave-live-"));
const root = fileURLToPath(new URL("../..", import.meta.url));
const server = await preview({ root, preview: { strictPort: true }, logLevel: "warn" });
const address = server.resolvedUrls?.local[0];
assert.ok(address);
const browser = await puppeteer.launch({
  executablePath: process.env["CHROME"] ?? "/usr/bin/chromium",
  args: FLAGS,
  protocolTimeout: PATIENCE,
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.setViewport({ width: 1360, height: 1080 });
  const said: string[] = [];
  page.on("pageerror", (error) => said.push(`error: ${String(error)}`));
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  const addresses: string[] = [];
  page.on("request", (request) => addresses.push(request.url()));
  const session = await page.createCDPSession();
  await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads });
  await page.goto(address);

  await page.waitForSelector("#clusters .bar");
  await page.click('#source label:has([value="live"])');
  await page.waitForSelector("#panel-live:not([hidden])");
  await fill(page, "live-problem", PROBLEM);
  await fill(page, "live-url", URL_OF_API);
  await fill(page, "live-model", "solver");
  await fill(page, "live-key", KEY);

  // All of it: candidates stream, one fails, the model makes one answer of the others.
  let mark = events().length;
  await page.click("#sample");
  await page.waitForFunction(() => {
    const streaming = [...document.querySelectorAll('.card[data-status="streaming"] .card-text')];
    return streaming.filter((text) => (text.textContent ?? "").length >= 8).length >= 6;
  });
  const partial = await texts(page);
  ok("several of eight candidates are written side by side");
  await settled(page, 8);
  const whole = await texts(page);
  assert.ok(partial.every((text, index) => whole[index]?.startsWith(text) || index === failedAt(whole)));
  ok("what was on the cards became the candidates");
  assert.deepEqual(await statuses(page), { done: 7, failed: 1 });
  assert.match(await text(page, '.card[data-status="failed"]'), /this candidate fails on purpose/);
  assert.match(await text(page, "#cards-note"), /7 of 8 arrived, 1 failed/);
  ok("seven arrive; the one that fails says why, in the server's words");
  assert.equal(events().slice(mark).filter((event) => event === "begun").length, 8);
  ok("eight requests were made: the failed one was not repeated");
  await phase(page, "Done");
  assert.equal(await text(page, "#answer"), ANSWER);
  assert.equal(await text(page, "#method"), "written by the model");
  assert.match(await text(page, "#dissent"), /of 7 candidates agree/);
  ok(`the model makes one answer of them: ${(await text(page, "#load-text")).trim()}`);
  await shoot(page);

  // The file that is saved has the candidates, and no key.
  await page.click("#export");
  const saved = await savedFile();
  const [set, result] = saved.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal((set?.["candidates"] as unknown[]).length, 7);
  assert.equal(result?.["answer"], ANSWER);
  ok("the run is exported with its seven candidates and its result");

  // Stopped in the middle: what arrived stays and is of use, and the server is not left writing.
  mark = events().length;
  await page.click("#sample");
  await page.waitForFunction(
    () =>
      document.querySelectorAll('.card[data-status="done"]').length >= 2 &&
      document.querySelectorAll('.card[data-status="streaming"]').length >= 2,
  );
  await page.click("#sample-stop");
  await settled(page, 8);
  const after = await statuses(page);
  assert.ok((after["done"] ?? 0) >= 2 && (after["failed"] ?? 0) >= 2, JSON.stringify(after));
  assert.match(await text(page, '.card[data-status="failed"]:last-child'), /stopped/);
  assert.equal(await text(page, "#live-report"), "");
  ok(`stopped in the middle: ${after["done"]} candidates stay, nothing is called an error of the page`);
  await until(() => events().slice(mark).filter((event) => event !== "begun").length === 8);
  const hungUp = events().slice(mark).filter((event) => event === "broke off").length;
  assert.ok(hungUp >= 2);
  ok(`the server saw ${hungUp} streams hang up`);
  await page.select("#policy", "always");
  await page.click("#run");
  await phase(page, "Writing");
  await page.click("#stop");
  await phase(page, "Stopped");
  ok("the model is stopped while it writes");
  await page.click("#run");
  await phase(page, "Done");
  assert.match(await text(page, "#answer"), /^\d+$/);
  ok("and makes an answer of those that had arrived when it is asked again");

  // Failures have names.
  await fill(page, "live-model", "locked");
  await page.click("#sample");
  await settled(page, 8);
  await page.waitForSelector("#live-report .failure, .card[data-status='failed']");
  assert.deepEqual(await statuses(page), { failed: 8 });
  assert.match(await text(page, "#cards"), /does not accept the key \(401\)/);
  assert.match(await text(page, "#live-report"), /does not accept the key \(401\).*unauthorized/);
  ok("401: the key is named as the reason, on the cards and where it was typed");
  await fill(page, "live-model", "mock");
  await fill(page, "live-key", WRONG_KEY);
  await page.click("#sample");
  await settled(page, 8);
  assert.match(await text(page, "#cards"), /does not accept the (key|request) \(40[01]\)/);
  ok("a wrong key is a failure with a name");
  await fill(page, "live-model", "no-such-model");
  await fill(page, "live-key", KEY);
  await page.click("#sample");
  await settled(page, 8);
  assert.match(await text(page, "#cards"), /does not have the model `no-such-model`/);
  ok("an unknown model is named");
  await fill(page, "live-url", `http://127.0.0.1:${await freePort()}/v1`);
  await page.click("#sample");
  await settled(page, 8);
  assert.match(await text(page, "#cards"), /cannot reach http.*Is the server running\?/);
  ok("where nothing listens it says so");

  // Where the key must not be.
  const kept = await page.evaluate(async () => {
    const databases = await indexedDB.databases();
    return [
      document.documentElement.outerHTML,
      JSON.stringify({ ...localStorage, ...sessionStorage }),
      document.cookie,
      location.href,
      JSON.stringify([databases, history.state]),
    ];
  });
  const everything = [...kept, ...addresses, ...said, saved].join("\n");
  assert.ok(!everything.includes(KEY) && !everything.includes(WRONG_KEY), "a key is in the page, an address or a message");
  ok(`no key in ${everything.length} characters of page, storage, addresses, console and export`);
  await page.reload();
  await page.waitForSelector("#clusters .bar");
  assert.equal(await page.$eval("#live-key", (input) => (input as HTMLInputElement).value), "");
  ok("the key is gone with the page");

  // A browser itself logs every answer that is an error.
  const complaints = said.filter((line) => /^(error|warn)/.test(line) && !/Failed to load resource/.test(line));
  assert.deepEqual(complaints, []);
  ok("the console has no complaint of the page");
} finally {
  await browser.close();
  await server.close();
  rmSync(downloads, { recursive: true });
}

function given(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: crates/xtask/scripts/litellm.py --demo starts this`);
  return value;
}

function ok(what: string): void {
  console.log(`ok      page: ${what}`);
}

/** A port at which nothing listens. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

/** What the server saw, by name. */
function events(): string[] {
  const lines = readFileSync(EVENTS, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => (JSON.parse(line) as { event: string }).event);
}

async function fill(page: Page, id: string, value: string): Promise<void> {
  await page.$eval(`#${id}`, (input) => ((input as HTMLInputElement).value = ""));
  await page.type(`#${id}`, value);
}

async function text(page: Page, selector: string): Promise<string> {
  return page.$eval(selector, (element) => {
    // Of a formula KaTeX shows one rendering and hides the other.
    const copy = element.cloneNode(true) as Element;
    for (const hidden of copy.querySelectorAll(".katex-mathml")) hidden.remove();
    return copy.textContent ?? "";
  });
}

async function texts(page: Page): Promise<string[]> {
  return page.$$eval(".card", (cards) => cards.map((card) => card.querySelector(".card-text")?.textContent ?? ""));
}

function failedAt(whole: string[]): number {
  return whole.findIndex((text) => text.includes("on purpose"));
}

async function statuses(page: Page): Promise<Record<string, number>> {
  const all = await page.$$eval(".card", (cards) => cards.map((card) => (card as HTMLElement).dataset["status"] ?? ""));
  const counts: Record<string, number> = {};
  for (const status of all) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Waits until every card has become a candidate or a failure. */
async function settled(page: Page, cards: number): Promise<void> {
  await page.waitForFunction(
    (n) =>
      document.querySelectorAll(".card").length === n &&
      document.querySelectorAll('.card:is([data-status="done"], [data-status="failed"])').length === n &&
      (document.getElementById("sample-stop") as HTMLButtonElement).disabled,
    {},
    cards,
  );
}

async function phase(page: Page, name: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => [wanted, "Failed"].includes(document.getElementById("phase")?.textContent ?? ""),
    {},
    name,
  );
  assert.equal(await text(page, "#phase"), name, await text(page, "#run-report"));
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 60_000;
  while (!condition()) {
    assert.ok(Date.now() < end, "waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function savedFile(): Promise<string> {
  const finished = () => readdirSync(downloads).filter((name) => name.endsWith(".jsonl"));
  await until(() => finished().length > 0);
  return readFileSync(join(downloads, finished()[0] ?? ""), "utf8");
}

async function shoot(page: Page): Promise<void> {
  if (SCREENSHOT === undefined) return;
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.mouse.move(0, 0);
  await page.screenshot({ path: SCREENSHOT });
}
