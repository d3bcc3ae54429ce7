// A sample set and what the native program answers to it, which is what the package has to answer everywhere.
import { readFileSync } from "node:fs";

/** The values of a JSONL file of the repository. */
export function lines(path) {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
}

const FILE = "arithmetic.jsonl";

/** A set in which the model goes against the vote. */
export const set = lines(`examples/${FILE}`)[0];

/** Of all examples; `crates/xtask/scripts/browser_expected.py` makes it. */
const answers = JSON.parse(readFileSync(new URL("browser/expected.json", import.meta.url), "utf8"));

/** The native answer in a mode. */
export const expected = (mode) => answers[mode][FILE].find(({ id }) => id === set.id);
