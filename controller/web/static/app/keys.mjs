// Keys, and commands of the palette: two tables that the screens add to while they are shown. Keys are off while
// somebody types, and while a dialog is open.
import {signal, useEffect} from "./html.mjs";
import {isOpen} from "./parts/dialog.mjs";

/**
 * @typedef {object} Key
 * @property {string} keys one key ("/"), or a chord ("g w")
 * @property {string} does for the help: "Go to Workers"
 * @property {string} [group] a heading of the help; "Here" without
 * @property {(event: KeyboardEvent) => void} run
 */
/**
 * @typedef {object} Command
 * @property {string} label "Restart web"
 * @property {string} [hint] at the right: a path, a key
 * @property {string} [group]
 * @property {string} [words] more to be found by
 * @property {string} [href] where it goes, or
 * @property {() => void} [run] what it does
 */

/** @type {import("./html.mjs").Signal<Key[]>} */
export const keys = signal([]);
/** @type {import("./html.mjs").Signal<(() => Command[])[]>} Asked when the palette opens. */
export const commandSources = signal([]);

/** @param {Key[]} added @returns {() => void} to take them away */
export function addKeys(added) {
  keys.value = [...keys.value, ...added];
  return () => {
    keys.value = keys.value.filter((key) => !added.includes(key));
  };
}

/** Keys of a component, while it is shown. @param {Key[]} added @param {any[]} [inputs] as of useEffect */
export function useKeys(added, inputs = []) {
  useEffect(() => addKeys(added), inputs);
}

/** Commands of a screen, while it is shown. @param {() => Command[]} source @param {any[]} [inputs] */
export function useCommands(source, inputs = []) {
  useEffect(() => {
    commandSources.value = [...commandSources.value, source];
    return () => {
      commandSources.value = commandSources.value.filter((one) => one !== source);
    };
  }, inputs);
}

const CHORD_MS = 1200;
let pending = "";
/** @type {any} */
let timer;

/** @param {EventTarget|null} target */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button", "submit"].includes(target.type);
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const isPalette = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k";
  if (!isPalette && (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target))) return;
  if (isOpen() || document.querySelector("dialog[open]")) return;
  const name = isPalette ? "Mod k" : event.key;
  const known = [...keys.value].reverse();
  const found = known.find((one) => one.keys === (pending ? `${pending} ${name}` : name)) ??
    known.find((one) => one.keys === name);
  clearTimeout(timer);
  pending = "";
  if (found) {
    event.preventDefault();
    found.run(event);
  } else if (known.some((one) => one.keys.startsWith(`${name} `))) {
    pending = name;
    timer = setTimeout(() => {
      pending = "";
    }, CHORD_MS);
  }
});

/** As it is written on this machine's keyboard. @param {string} name */
export const shown = (name) =>
  name.replace("Mod", /Mac|iPhone|iPad/.test(navigator.platform) ? "\u2318" : "Ctrl").replace("Escape", "Esc");
