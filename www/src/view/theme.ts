// Light, dark, or as the system has it. `public/theme.js` applies the choice before the first paint.

import { byId } from "./dom.ts";

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

export function mountTheme(): void {
  const button = byId<HTMLButtonElement>("theme");
  const current = (): Theme => (document.documentElement.dataset["theme"] as Theme | undefined) ?? "system";
  const draw = () => {
    button.textContent = { system: "Auto", light: "Light", dark: "Dark" }[current()];
    button.setAttribute("aria-label", `Theme: ${current()}. Change it.`);
    button.title = "Theme";
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length] ?? "system";
    if (next === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Refused storage: the choice lasts as long as the page.
    }
    draw();
  });
  draw();
}
