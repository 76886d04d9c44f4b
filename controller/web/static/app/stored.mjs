// What a browser remembers for a person: signals that live in localStorage. Where that is refused they live in memory.
import {effect, signal} from "./html.mjs";

const PREFIX = "workerctl.";

/** A signal that is remembered. @template T @param {string} name @param {T} initial @returns {import("./html.mjs").Signal} */
export function stored(name, initial) {
  let first = initial;
  try {
    const text = localStorage.getItem(PREFIX + name);
    if (text !== null) first = JSON.parse(text);
  } catch {
    // Unreadable or refused: as if nothing was remembered.
  }
  const value = signal(first);
  let isFirst = true;
  effect(() => {
    const text = JSON.stringify(value.value);
    if (isFirst) {
      isFirst = false;
      return;
    }
    try {
      localStorage.setItem(PREFIX + name, text);
    } catch {
      // It is remembered for this page alone.
    }
  });
  return value;
}
