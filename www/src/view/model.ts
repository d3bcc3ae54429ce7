// The aggregator: which model, where it runs, loading it with progress, what is stored of models.

import { bytes, parameters } from "../format.ts";
import { isRunning } from "../state.ts";
import type { DeviceChoice, Mode, ModelInfo, ModelState, Policy } from "../state.ts";
import { byId, h, setText } from "./dom.ts";
import { showFailure } from "./page.ts";
import type { Page } from "./page.ts";

const NOTES = {
  builtin: "A million parameters for arithmetic, no download. All else it leaves to the vote.",
  url: "A folder in Hugging Face layout. Files are checked, and kept for the next time.",
};

const STAGES: Record<string, string> = {
  module: "Loading the engine",
  download: "Downloading",
  verify: "Checking",
  weights: "Moving weights to the device",
  "self-test": "Testing on this device",
};

export function mountModel({ store, controller, watch }: Page): void {
  const url = byId<HTMLInputElement>("model-url");
  const device = byId<HTMLSelectElement>("device");
  const policy = byId<HTMLSelectElement>("policy");
  const mode = byId<HTMLSelectElement>("mode");
  const load = byId<HTMLButtonElement>("load");
  const choices = byId("model-choice").querySelectorAll("input");
  for (const input of choices) {
    input.addEventListener("change", () => controller.chooseModel({ choice: input.value as "builtin" | "url" }));
  }
  url.addEventListener("change", () => controller.chooseModel({ url: url.value }));
  device.addEventListener("change", () => controller.chooseModel({ device: device.value as DeviceChoice }));
  policy.addEventListener("change", () => store.dispatch({ type: "policy", policy: policy.value as Policy }));
  mode.addEventListener("change", () => store.dispatch({ type: "mode", mode: mode.value as Mode }));
  load.addEventListener("click", () => {
    if (store.get().model.status === "loading") controller.cancelLoad();
    else void controller.loadAhead();
  });

  watch(
    (state) => [state.model, isRunning(state.run)],
    ({ model, run }) => {
      const isBusy = model.status === "loading" || isRunning(run);
      for (const input of [...choices, url, device, policy, mode]) input.disabled = isBusy;
      for (const input of choices) input.checked = input.value === model.choice;
      byId("model-url-field").hidden = model.choice !== "url";
      const fallback = model.info?.fallback ?? "";
      setText(byId("model-note"), fallback === "" ? NOTES[model.choice] : sentence(fallback));
      load.textContent = model.status === "loading" ? "Cancel" : "Load now";
      load.classList.toggle("gone", model.status === "ready");
      load.disabled = model.status === "ready" || (isRunning(run) && model.status !== "loading");
      drawProgress(model);
      showFailure(byId("model-report"), model.failure);
    },
  );
  mountStored(controller);
}

function drawProgress({ status, progress, info }: ModelState): void {
  const bar = byId<HTMLProgressElement>("load-bar");
  // Where nothing can be said about how much is done, the bar only says that something goes on.
  const isUnknown = progress === null || progress.stage === "module" || progress.total <= 0 || progress.loaded <= 0;
  if (status === "loading" && isUnknown) bar.removeAttribute("value");
  else bar.value = status === "ready" ? 1 : progress === null ? 0 : progress.loaded / progress.total;
  bar.classList.toggle("ready", status === "ready");
  const words: Record<ModelState["status"], string> = {
    idle: "Not loaded",
    failed: "Not loaded",
    loading: STAGES[progress?.stage ?? "module"] ?? "Loading",
    ready: info === null ? "" : readyOn(info),
  };
  setText(byId("load-text"), words[status]);
  setText(byId("load-size"), size(status, progress, info));
}

function readyOn({ device, fallback }: ModelInfo): string {
  if (device === "webgpu") return "Ready on WebGPU.";
  return `Ready on the processor${fallback === undefined || fallback === "" ? "" : ", not WebGPU"}.`;
}

/** A reason of the package as it stands alone. */
function sentence(reason: string): string {
  return `${reason.slice(0, 1).toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? "" : "."}`;
}

function size(status: string, progress: ModelState["progress"], info: ModelState["info"]): string {
  if (status === "ready" && info !== null) return `${parameters(info.parameters)} parameters, ${bytes(info.bytes)}`;
  if (status !== "loading" || progress === null || progress.stage !== "download") return "";
  return progress.total > 0 ? `${bytes(progress.loaded)} of ${bytes(progress.total)}` : bytes(progress.loaded);
}

function mountStored(controller: Page["controller"]): void {
  const details = byId<HTMLDetailsElement>("stored");
  const list = byId("stored-list");
  const draw = async () => {
    try {
      const models = await controller.storedModels();
      const items = models.map(({ model, bytes: length, complete }) => {
        const remove = h("button", { type: "button", class: "quiet", "aria-label": `Delete ${model}` }, "Delete");
        remove.addEventListener("click", () => void controller.deleteModel(model).then(draw));
        return h(
          "li",
          {},
          h("span", { class: "url" }, model),
          h("span", { class: "soft" }, bytes(length), complete ? "" : ", incomplete"),
          remove,
        );
      });
      list.replaceChildren(...(items.length > 0 ? items : [h("li", { class: "soft" }, "None.")]));
    } catch (error) {
      list.replaceChildren(
        h("li", { class: "soft" }, `Cannot be listed: ${error instanceof Error ? error.message : String(error)}`),
      );
    }
  };
  details.addEventListener("toggle", () => details.open && void draw());
}
