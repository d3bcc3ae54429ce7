// The built package by its name, as each host finds it: with bindings that only say what they were given.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("../../", import.meta.url));

/** Bindings in the form that wasm-bindgen gives them. */
const bindings = (build: string) => `
let given;
export default async (options) => { given = options?.module_or_path; };
const what = () => "${build} " + (given === undefined ? "found by itself" : given.length + " bytes");
export const majorityVote = (candidates) => ({ answer: what(), candidates });
export const grade = () => ({ answer: what(), equivalent: true });
export const onPanic = () => {};
export const setBuiltin = () => {};
export const sampleCandidates = async (options) => [{ text: what(), model: options.model }];
export class Engine {
  static async loadBuiltin(options) { return Object.assign(new Engine(), { device: options.device }); }
  async aggregate(set) { return { answer: what(), candidates: set.candidates.length }; }
  info() { return { device: this.device, parameters: 1, bytes: 1 }; }
  free() {}
}
`;

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "conclave-entries-"));
  const folder = join(root, "node_modules/@conclave/web");
  mkdirSync(folder, { recursive: true });
  for (const name of ["package.json", "dist"]) cpSync(join(web, name), join(folder, name), { recursive: true });
  for (const build of ["full", "cpu", "client", "vote"]) {
    mkdirSync(join(folder, "wasm", build), { recursive: true });
    writeFileSync(join(folder, "wasm", build, "conclave_web.js"), bindings(build));
    writeFileSync(join(folder, "wasm", build, "conclave_web_bg.wasm"), "1234567");
  }
});
after(() => rmSync(root, { recursive: true, force: true }));

const PROGRAM = `
import { SampleSetAggregator, grade, listModels, majorityVote, sampleCandidates } from "@conclave/web";
import * as client from "@conclave/web/client";
import * as small from "@conclave/web/vote";
const aggregator = await SampleSetAggregator.load();
const { answer, device } = await aggregator.aggregate({ problem: "p", candidates: ["7"] });
await aggregator.dispose();
const api = { baseUrl: "http://127.0.0.1/v1", model: "m", problem: "p", numCandidates: 1 };
if (client.sampleCandidates !== sampleCandidates || small.grade !== grade) throw new Error("there are two");
console.log(JSON.stringify({
  answer, device, vote: (await majorityVote(["7"])).answer, grade: (await small.grade("7", "7")).answer,
  sampled: (await sampleCandidates(api)).candidates, models: await listModels(), names: [...Object.keys(small), ...Object.keys(client)],
}));
`;

/** What the program prints under these conditions of `exports`. */
function run(...conditions: string[]): unknown {
  writeFileSync(join(root, "main.mjs"), PROGRAM);
  const flags = conditions.map((condition) => `--conditions=${condition}`);
  return JSON.parse(execFileSync(process.execPath, [...flags, "main.mjs"], { cwd: root, encoding: "utf8" }));
}

const names = ["AggregatorError", "grade", "majorityVote", "AggregatorError", "sampleCandidates"];

test("Node.js: the module without WebGPU, read from its file", () => {
  const answer = "cpu 7 bytes";
  const vote = "vote 7 bytes";
  const sampled = [{ text: "client 7 bytes", model: "m" }];
  assert.deepEqual(run(), { answer, device: "cpu", vote, grade: vote, sampled, models: [], names });
});

test("browsers and Deno: the full module, which the bindings find", () => {
  const vote = "vote found by itself";
  for (const condition of ["browser", "deno"]) {
    const answer = "full found by itself";
    const sampled = [{ text: "client found by itself", model: "m" }];
    assert.deepEqual(run(condition), { answer, device: "cpu", vote, grade: vote, sampled, models: [], names });
  }
});
