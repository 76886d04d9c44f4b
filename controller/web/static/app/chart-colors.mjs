// The tokens' colours for what is drawn on a canvas: resolved by the browser, anew when the page turns dark or light.
import {signal} from "./html.mjs";
import {theme} from "./theme.mjs";

/** Counts how often the colours changed: reading it draws a chart anew. */
export const colorTurn = signal(0);

const change = () => {
  // After the page itself: a theme is set just before its signal.
  requestAnimationFrame(() => {
    known.clear();
    colorTurn.value += 1;
  });
};
/** @type {Map<string, string>} */
const known = new Map();
theme.subscribe(change);
for (const question of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) matchMedia(question).addEventListener("change", change);

/** The colour of a custom property as a canvas takes it. @param {string} name "--muted" @returns {string} */
export function color(name) {
  const found = known.get(name);
  if (found) return found;
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  known.set(name, value);
  return value;
}

/** The same with less of it. @param {string} name @param {number} alpha */
export const faint = (name, alpha) => color(name).replace(/^rgba?\(([^)/,]+)[,\s]+([^)/,]+)[,\s]+([^)/,]+).*$/, `rgba($1,$2,$3,${alpha})`);
