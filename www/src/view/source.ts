// Where candidates come from: recorded sets, a file, a live API.

import { plural } from "../format.ts";
import type { BadLine } from "../jsonl.ts";
import { recordedGroups } from "../recorded.ts";
import type { Group } from "../recorded.ts";
import type { Source } from "../state.ts";
import { isRunning } from "../state.ts";
import { byId, h, setText } from "./dom.ts";
import { showFailure } from "./page.ts";
import type { Page } from "./page.ts";

/** Bad lines that are listed; the others are counted. */
const MOST_BAD = 20;

export async function mountSource(page: Page): Promise<void> {
  const { store, watch } = page;
  for (const input of byId("source").querySelectorAll("input")) {
    input.addEventListener("change", () => store.dispatch({ type: "source", source: input.value as Source }));
  }
  watch(
    (state) => [state.source],
    ({ source }) => {
      for (const name of ["recorded", "file", "live"]) byId(`panel-${name}`).hidden = name !== source;
      byId("source").querySelector<HTMLInputElement>(`[value="${source}"]`)!.checked = true;
    },
  );
  mountFile(page);
  mountLive(page);
  await mountRecorded(page);
}

async function mountRecorded({ store, controller, watch }: Page): Promise<void> {
  const groups = await recordedGroups();
  const select = byId<HTMLSelectElement>("recorded");
  select.append(...groups.map(group));
  const find = (id: string) =>
    groups.flatMap(({ sets, note }) => sets.map((set) => ({ set, note }))).find(({ set }) => set.id === id);
  const show = () => {
    const found = find(select.value);
    if (found !== undefined) controller.show(found.set, { recorded: found.set.id });
  };
  select.addEventListener("change", show);
  watch(
    (state) => [state.recorded],
    ({ recorded }) => setText(byId("recorded-note"), find(recorded)?.note ?? ""),
  );
  // Whoever was faster with a file of their own keeps it.
  if (store.get().set === null) show();
}

function group({ name, sets }: Group): HTMLElement {
  const options = sets.map((set) => h("option", { value: set.id }, `${set.id}: ${set.problem.slice(0, 70)}`));
  return h("optgroup", { label: name }, ...options);
}

function mountFile({ store, controller, watch }: Page): void {
  const paste = byId<HTMLTextAreaElement>("paste");
  let timer = 0;
  paste.addEventListener("input", () => {
    clearTimeout(timer);
    // Somebody may be typing: read when they pause.
    timer = window.setTimeout(() => {
      if (paste.value.trim() !== "") controller.openFile("pasted text", new TextEncoder().encode(paste.value));
    }, 300);
  });
  const at = byId<HTMLInputElement>("at");
  const go = (index: number) => {
    const { sets } = store.get().file;
    if (Number.isInteger(index)) controller.showAt(Math.min(Math.max(index, 0), sets.length - 1));
  };
  at.addEventListener("change", () => go(at.valueAsNumber - 1));
  byId("previous").addEventListener("click", () => go(store.get().file.at - 1));
  byId("next").addEventListener("click", () => go(store.get().file.at + 1));
  watch(
    (state) => [state.file],
    ({ file }) => {
      byId("stepper").hidden = file.sets.length < 2;
      at.value = String(file.at + 1);
      at.max = String(file.sets.length);
      setText(byId("sets"), String(file.sets.length));
      byId("file-report").replaceChildren(
        ...report(file.name, file.status, file.sets.length, file.results.length, file.bad),
      );
    },
  );
}

function report(name: string, status: string, sets: number, results: number, bad: BadLine[]): Node[] {
  if (status === "empty") return [];
  if (status === "reading") return [h("p", { class: "hint" }, `Reading ${name}`)];
  const counts = [plural(sets, "sample set"), ...(results > 0 ? [plural(results, "result")] : [])].join(", ");
  const summary = h(
    "p",
    { class: "hint" },
    h("strong", {}, name),
    `: ${counts}`,
    bad.length > 0 ? `, ${plural(bad.length, "bad line")}` : "",
  );
  if (bad.length === 0) return [summary];
  const items = bad
    .slice(0, MOST_BAD)
    .map(({ line, reason }) => h("li", {}, h("strong", {}, `line ${line}`), `: ${reason}`));
  const more = bad.length > MOST_BAD ? h("li", {}, `and ${plural(bad.length - MOST_BAD, "more bad line")}`) : null;
  return [summary, h("ul", { class: "bad-lines", tabindex: 0, "aria-label": "Bad lines" }, ...items, more)];
}

function mountLive({ controller, watch }: Page): void {
  const form = byId<HTMLFormElement>("panel-live");
  const text = (id: string) => byId<HTMLInputElement>(id).value.trim();
  const number = (id: string) => byId<HTMLInputElement>(id).valueAsNumber;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [temperature, maxTokens] = [number("live-temperature"), number("live-tokens")];
    void controller.sample({
      baseUrl: text("live-url"),
      apiKey: text("live-key"),
      model: text("live-model"),
      problem: text("live-problem"),
      numCandidates: number("live-count"),
      ...(Number.isNaN(temperature) ? {} : { temperature }),
      ...(Number.isNaN(maxTokens) ? {} : { maxTokens }),
      aggregate: byId<HTMLInputElement>("live-aggregate").checked,
    });
  });
  byId("sample-stop").addEventListener("click", () => controller.stopSampling());
  watch(
    (state) => [state.sampling, isRunning(state.run)],
    ({ sampling, run }) => {
      byId<HTMLButtonElement>("sample").disabled = sampling.status === "running" || isRunning(run);
      byId<HTMLButtonElement>("sample-stop").disabled = sampling.status !== "running";
      showFailure(byId("live-report"), sampling.failure);
    },
  );
}
