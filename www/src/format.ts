// Numbers and texts as the page shows them.

const THIN = "\u202f";

/** `1.5 kB`, `28.1 MB`: decimal units, as browsers' own download lists have them. */
export function bytes(count: number): string {
  if (count < 1000) return `${count}${THIN}B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 99.95 ? Math.round(value) : value.toFixed(1)}${THIN}${units[unit]}`;
}

/** `84 ms`, `1.24 s`, `3 min 5 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)}${THIN}ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)}${THIN}s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}${THIN}min ${whole % 60}${THIN}s`;
}

/** `12,345`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** `1.0 million`, `494 million`: the parameters of a model. */
export function parameters(value: number): string {
  if (value >= 999_500_000) return `${(value / 1e9).toFixed(1)} billion`;
  if (value >= 99_500_000) return `${Math.round(value / 1e6)} million`;
  if (value >= 950_000) return `${(value / 1e6).toFixed(1)} million`;
  return count(value);
}

/** `0.637`; not 1.000 for what is less than 1. */
export function probability(value: number): string {
  if (value > 0.9995 && value < 1) return ">\u202f0.999";
  if (value > 0 && value < 0.0005) return "<\u202f0.001";
  return value.toFixed(3);
}

export function percent(share: number): string {
  return `${Math.round(share * 100)}${THIN}%`;
}

/** Tokens a second after the first one; nothing where there is no time to divide by. */
export function tokensPerSecond(tokens: number, elapsed: number, toFirst: number | undefined): number | undefined {
  const seconds = (elapsed - (toFirst ?? 0)) / 1000;
  const counted = toFirst === undefined ? tokens : tokens - 1;
  return counted > 0 && seconds > 0 ? counted / seconds : undefined;
}

export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A text with its middle left out where it is long: an answer stands at the end, the problem's setting at the start. */
export function excerpt(text: string, most: number): { head: string; omitted: number; tail: string } {
  if (text.length <= most) return { head: text, omitted: 0, tail: "" };
  const head = text.slice(0, whole(text, Math.floor(most / 3)));
  const tail = text.slice(whole(text, text.length - (most - head.length)));
  return { head, omitted: text.length - head.length - tail.length, tail };
}

/** `at`, or one less where it would cut a surrogate pair. */
function whole(text: string, at: number): number {
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff ? at - 1 : at;
}
