// Light, dark, or as the system has it. Written as plain text, for theme-first.js reads it before any module runs.
import {signal} from "./html.mjs";

const KEY = "workerctl.theme";
const read = () => document.documentElement.dataset.theme ?? "system";

/** "light", "dark" or "system". */
export const theme = signal(read());

/** @param {"light"|"dark"|"system"} chosen */
export function setTheme(chosen) {
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // It holds until the page is closed.
  }
  theme.value = chosen;
}

/** Whether the page is dark now, for what is drawn on a canvas. */
export function isDark() {
  if (theme.value !== "system") return theme.value === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}
