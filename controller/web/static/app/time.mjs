// The server's clock as far as a browser knows it. Times are compared with `now`, never with the browser's own clock,
// which may be minutes off.
import {signal} from "./html.mjs";

let offsetMs = 0;

/** Milliseconds since 1970 by the server's clock; a new value each second while the page is seen. */
export const now = signal(Date.now());

/** What an answer's Date header says. Whole seconds: so a difference below two is none. @param {string|null} header */
export function heardTime(header) {
  const theirs = header ? Date.parse(header) : NaN;
  if (Number.isNaN(theirs)) return;
  const difference = theirs - Date.now();
  offsetMs = Math.abs(difference) < 2000 ? 0 : difference;
}

/** @returns {number} */
export const serverNow = () => Date.now() + offsetMs;

setInterval(() => {
  if (!document.hidden) now.value = serverNow();
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) now.value = serverNow();
});

/** Seconds from `at` until now; negative before. @param {string|null|undefined} at */
export const secondsSince = (at) => (at ? (now.value - Date.parse(at)) / 1000 : null);
