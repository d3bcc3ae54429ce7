// Where mathematics stands in a text. Pure: rendering is `view/prose.ts`.
//
// `$...$`, `$$...$$`, `\(...\)` and `\[...\]` are mathematics; everything else is text, and so is whatever exceeds the
// bounds below: a hostile or broken candidate costs no more than its characters.

export type Piece = { kind: "text"; text: string } | { kind: "math"; tex: string; display: boolean; source: string };

/** Longest formula that is rendered, in characters. */
export const MOST_TEX = 1500;
/** Most formulas of one text. */
export const MOST_FORMULAS = 300;
/** Most marks that are looked at for one: each may be read as far as `MOST_TEX`. */
export const MOST_ATTEMPTS = 2000;

const OPENINGS = ["$$", "$", "\\(", "\\["] as const;
const CLOSINGS: Record<string, string> = { $$: "$$", $: "$", "\\(": "\\)", "\\[": "\\]" };

export function mathPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let textStart = 0;
  let formulas = 0;
  let attempts = 0;
  let at = nextMark(text, 0);
  while (at < text.length && formulas < MOST_FORMULAS && attempts < MOST_ATTEMPTS) {
    const opening = OPENINGS.find((mark) => text.startsWith(mark, at));
    if (opening === undefined) {
      // An escaped character (`\$`, `\\`) or the backslash of a command outside of mathematics.
      at = nextMark(text, at + (text[at] === "\\" ? 2 : 1));
      continue;
    }
    attempts += 1;
    const end = closing(text, at, opening);
    if (end < 0) {
      at = nextMark(text, at + opening.length);
      continue;
    }
    if (at > textStart) pieces.push({ kind: "text", text: text.slice(textStart, at) });
    const tex = text.slice(at + opening.length, end).trim();
    textStart = end + opening.length;
    const display = opening === "$$" || opening === "\\[";
    pieces.push({ kind: "math", tex, display, source: text.slice(at, textStart) });
    formulas += 1;
    at = nextMark(text, textStart);
  }
  if (textStart < text.length) pieces.push({ kind: "text", text: text.slice(textStart) });
  return pieces;
}

function nextMark(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x24 || code === 0x5c) return at;
  }
  return text.length;
}

/** Where the formula's closing mark stands; -1 where this is no formula. */
function closing(text: string, at: number, opening: (typeof OPENINGS)[number]): number {
  const start = at + opening.length;
  const mark = CLOSINGS[opening] ?? opening;
  const limit = Math.min(text.length, start + MOST_TEX + mark.length);
  let depth = 0;
  for (let i = start; i < limit; i += 1) {
    const here = text[i];
    if (text.startsWith(mark, i) && depth <= 0) return isFormula(text, start, i, opening) ? i : -1;
    if (here === "\\") i += 1;
    else if (here === "{") depth += 1;
    else if (here === "}") depth -= 1;
    // A paragraph ends every formula: what was opened before is a lone mark.
    else if (here === "\n" && text[i + 1] === "\n") return -1;
  }
  return -1;
}

/** `$5 and $6` are prices: no formula begins or ends with a space or goes on with a digit. */
function isFormula(text: string, start: number, end: number, opening: string): boolean {
  if (text.slice(start, end).trim() === "") return false;
  if (opening !== "$") return true;
  return !/\s/.test(text[start] ?? "") && !/\s/.test(text[end - 1] ?? "") && !/\d/.test(text[end + 1] ?? "");
}

/** The formula of an answer that is one without marks around it, such as `\frac{7}{2}` or `x^5 - 1`; else nothing. */
export function answerTex(answer: string): string | undefined {
  const trimmed = answer.trim();
  const inner = /^\$+([^$]+)\$+$/.exec(trimmed)?.[1] ?? trimmed;
  const isTex = inner !== trimmed || /\\[A-Za-z]|[\^_]/.test(inner);
  return isTex && inner.length <= MOST_TEX && !inner.includes("\n") ? inner : undefined;
}
