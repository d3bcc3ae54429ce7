// Untrusted text with mathematics in it: text nodes, and KaTeX's own elements for formulas.

import katex from "katex";
import { count, excerpt } from "../format.ts";
import { answerTex, mathPieces } from "../math-text.ts";
import { h } from "./dom.ts";

/** No commands that name addresses, classes or styles; no macro that expands without end; no box larger than the text. */
const OPTIONS = {
  trust: false,
  throwOnError: false,
  strict: "ignore",
  errorColor: "currentColor",
  maxExpand: 500,
  maxSize: 12,
} as const;

/** Text as it is shown, its middle left out beyond `most` characters. */
export function prose(text: string, most: number): DocumentFragment {
  const { head, omitted, tail } = excerpt(text, most);
  const fragment = document.createDocumentFragment();
  append(fragment, head);
  if (omitted > 0) {
    fragment.append(h("span", { class: "omitted" }, `${count(omitted)} characters are not shown`));
    append(fragment, tail);
  }
  return fragment;
}

/** An answer alone: mathematics where it reads as such. */
export function answerNode(answer: string, most = 400): Node {
  const tex = answerTex(answer);
  if (tex !== undefined && answer.length <= most) return formula(tex, false, answer);
  return prose(answer, most);
}

function append(fragment: DocumentFragment, text: string): void {
  const pieces = mathPieces(text);
  const isDisplay = (index: number) => {
    const piece = pieces[index];
    return piece?.kind === "math" && piece.display;
  };
  pieces.forEach((piece, index) => {
    if (piece.kind === "math") {
      fragment.append(formula(piece.tex, piece.display, piece.source));
      return;
    }
    // A displayed formula stands on lines of its own: the breaks around it would be empty lines.
    let { text: words } = piece;
    if (isDisplay(index - 1)) words = words.trimStart();
    if (isDisplay(index + 1)) words = words.trimEnd();
    fragment.append(words);
  });
}

function formula(tex: string, displayMode: boolean, source: string): Node {
  const element = h("span", { class: displayMode ? "formula display" : "formula" });
  try {
    katex.render(tex, element, { ...OPTIONS, displayMode });
  } catch {
    // Not a mistake in the formula, which KaTeX reports in place, but a bound of the engine.
    return document.createTextNode(source);
  }
  // What is not LaTeX is shown as it was written, not in red.
  return element.querySelector(".katex-error") === null ? element : h("code", {}, source);
}
