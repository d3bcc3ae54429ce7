// Grades of the files of pairs in tests/data/equivalence, with the bounds that crates/core/tests/equivalence.rs sets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { conclave, lines } from "./module.mjs";

const pairs = (file) => lines(`equivalence/${file}`);
const describe = (pairs) => pairs.map(({ reference, prediction }) => `${reference} | ${prediction}`).join("\n");

/** The pairs on which we and the file differ. */
const disagreements = (pairs) =>
  pairs.filter(({ reference, prediction, equivalent }) => conclave.grade(reference, prediction).equivalent !== equivalent);

test("agrees with Math-Verify and accepts none of its negatives", () => {
  const all = pairs("math_verify.jsonl");
  const wrong = disagreements(all);
  assert.deepEqual(wrong.filter((pair) => !pair.equivalent), []);
  assert.ok(all.length === 160 && wrong.length * 20 <= all.length, describe(wrong));
});

test("agrees with peers on mathematics and letters", () => {
  const all = pairs("peers.jsonl").filter(({ kind }) => kind === "math" || kind === "letters");
  const wrong = disagreements(all);
  assert.ok(all.length > 100 && wrong.length <= 0.15 * all.length, describe(wrong));
});

for (const [file, equivalent, least] of [["near_misses.jsonl", false, 300], ["matches.jsonl", true, 150]]) {
  test(`${equivalent ? "accepts" : "refuses"} all of ${file}, both ways round`, () => {
    const all = pairs(file);
    const turned = all.map((pair) => ({ ...pair, reference: pair.prediction, prediction: pair.reference }));
    assert.ok(all.length >= least && all.every((pair) => pair.equivalent === equivalent));
    assert.equal(describe(disagreements([...all, ...turned])), "");
  });
}

test("nothing is too deep for the stack of a wasm module", () => {
  const nest = (open, close, times) => open.repeat(times) + "1" + close.repeat(times);
  const texts = [
    nest("(", ")", 900), nest("{", "}", 900), nest("\\sqrt{", "}", 250), nest("\\frac{1}{", "}", 150), nest("|", "|", 900),
    nest("(", ")", 100_000), "-".repeat(1_900) + "1", "1^".repeat(900) + "1", "2/".repeat(900) + "3", "9^9^9^9",
    "(a+b+c+d+e+f+g+h)^{60}", "f(".repeat(600) + ")".repeat(600), "\\boxed{".repeat(900) + "1" + "}".repeat(900),
  ];
  for (const text of texts) {
    assert.equal(typeof conclave.grade(text, text).equivalent, "boolean");
    assert.equal(conclave.grade("7", text).equivalent, false, text.slice(0, 20));
  }
});
