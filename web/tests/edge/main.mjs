// The program for Node.js and Deno: `main.mjs REQUEST`, a JSON file; the answer goes to standard output.
import { readFile } from "node:fs/promises";
import process from "node:process";
import { use } from "./use.mjs";

const request = JSON.parse(await readFile(process.argv[2], "utf8"));
console.log(JSON.stringify(await use(request)));
