// Chromium with WebGPU on a software adapter, and pages in it.

import puppeteer from "puppeteer-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts a browser with a profile of its own. `adapter` is "default" for its own choice, and "none" for no WebGPU. */
export async function launch({ adapter = "swiftshader" } = {}) {
  const executablePath = process.env.CHROME ?? "/usr/bin/chromium";
  const args = [...FLAGS];
  if (adapter !== "none") args.push("--enable-unsafe-webgpu", `--use-webgpu-adapter=${adapter}`);
  // A software adapter takes its time.
  return puppeteer.launch({ executablePath, args, protocolTimeout: 600_000 });
}

/** Opens the page of a server; `complaints` gathers what it and its workers say that nobody should have to read. */
export async function openPage(browser, server, hook = "") {
  const page = await browser.newPage();
  page.setDefaultTimeout(120_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error}`));
  page.on("console", (message) => {
    if (["error", "warn", "assert"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  const response = await page.goto(`${server.origin}/#${hook}`);
  await page.waitForFunction(() => "conclave" in globalThis || "failure" in globalThis);
  const failure = await page.evaluate(() => globalThis.failure);
  if (failure !== undefined) throw new Error(`the package cannot be imported: ${[failure, ...complaints].join("; ")}`);
  return { page, complaints, headers: response.headers() };
}
