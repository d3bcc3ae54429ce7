import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTex, MOST_FORMULAS, MOST_TEX, mathPieces } from "../src/math-text.ts";

/** Formulas in brackets, display ones in double brackets. */
function marked(text: string): string {
  return mathPieces(text)
    .map((piece) => (piece.kind === "text" ? piece.text : piece.display ? `[[${piece.tex}]]` : `[${piece.tex}]`))
    .join("");
}

test("all four pairs of marks", () => {
  assert.equal(marked("a $x$ b \\(y\\) c $$z$$ d \\[w\\] e"), "a [x] b [y] c [[z]] d [[w]] e");
  assert.equal(marked("\\[\n\\frac{1}{2}\n\\]"), "[[\\frac{1}{2}]]");
});

test("prices, lone marks and escapes stay text", () => {
  for (const text of [
    "it costs $5 and $6",
    "$ x $",
    "one $ only",
    "\\$5 and \\$6",
    "$$",
    "$a\n\nb$",
    "\\(",
    "a\\\\(b\\)",
    "$x$5",
  ]) {
    assert.equal(marked(text), text);
  }
});

test("marks within braces do not end a formula", () => {
  assert.equal(marked("$\\text{costs $5$}$"), "[\\text{costs $5$}]");
});

test("nothing of the text is lost", () => {
  const text = "a $x$ $ b $$ \\[ y \\] \\( $z$ \\) {} $w";
  const all = mathPieces(text).map((piece) => (piece.kind === "text" ? piece.text : piece.source));
  assert.equal(all.join(""), text);
});

test("length and number are bounded", () => {
  assert.equal(mathPieces(`$${"x".repeat(MOST_TEX + 1)}$`).length, 1);
  const pieces = mathPieces("$x$ ".repeat(MOST_FORMULAS * 3));
  assert.equal(pieces.filter(({ kind }) => kind === "math").length, MOST_FORMULAS);
  // Each opening mark could be read to the limit: their number is bounded, too.
  assert.equal(mathPieces("\\( ".repeat(1_000_000)).length, 1);
});

test("an answer is mathematics where it reads as such", () => {
  assert.equal(answerTex("\\frac{7}{2}"), "\\frac{7}{2}");
  assert.equal(answerTex("x^5 - 1"), "x^5 - 1");
  assert.equal(answerTex(" $12$ "), "12");
  assert.equal(answerTex("12"), undefined);
  assert.equal(answerTex("<script>alert(1)</script>"), undefined);
  assert.equal(answerTex("C:\\ and more"), undefined);
});
