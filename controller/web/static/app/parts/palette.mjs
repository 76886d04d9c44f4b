// The palette (Ctrl or Cmd and K, or `:`): goes anywhere and does anything, by typing part of it. And the help of keys (`?`).
import {html, useEffect, useId, useMemo, useRef, useState} from "../html.mjs";
import {docCommands, loadDocs} from "../docs-index.mjs";
import {commandSources, keys, shown} from "../keys.mjs";
import {go} from "../router.mjs";
import {closeDialog, Dialog, open} from "./dialog.mjs";

export const openPalette = () => open(html`<${Palette} />`);
export const openHelp = () => open(html`<${Help} />`);

/** How well `words` are found in `text`; 0: not. Starts of words count most. @param {string} text @param {string[]} words */
export function score(text, words) {
  const lower = text.toLowerCase();
  let total = 1;
  for (const word of words) {
    const at = lower.indexOf(word);
    if (at < 0) return 0;
    total += at === 0 ? 8 : /[\s/_.-]/.test(lower[at - 1]) ? 4 : 1;
  }
  return total + 10 / (10 + text.length);
}

const MOST = 40;

function Palette() {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const list = useRef(/** @type {any} */ (null));
  useEffect(loadDocs, []);
  const own = useMemo(() => commandSources.value.flatMap((source) => source()), []);
  const all = [...own, ...docCommands()];
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length === 0 ? all.slice(0, MOST) : all
    .map((command) => ({command, points: score(`${command.label} ${command.words ?? ""}`, words)}))
    .filter((one) => one.points > 0)
    .sort((a, b) => b.points - a.points)
    .slice(0, MOST)
    .map((one) => one.command);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({block: "nearest"});
  });
  const run = (/** @type {any} */ command) => {
    closeDialog();
    if (command?.href) go(command.href);
    else if (command) setTimeout(command.run);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const by = {ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8}[event.key];
    if (by) setAt(Math.min(found.length - 1, Math.max(0, chosen + by)));
    else if (event.key === "Enter") run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return html`<${Dialog} title="Search or run a command" size="palette" hideTitle>
    <input class="palette-input" autofocus role="combobox" aria-expanded="true" aria-controls=${id} aria-label="Search or run a command" placeholder="A worker, a screen, what to do, or what to read"
      aria-activedescendant=${found.length ? `${id}-${chosen}` : undefined} value=${typed} spellcheck=${false} autocomplete="off" onKeyDown=${onKeyDown}
      onInput=${(/** @type {any} */ event) => {
        setTyped(event.target.value);
        setAt(0);
      }} />
    <ul class="palette-list" role="listbox" id=${id} ref=${list} aria-label="What was found">${found.map((command, index) => html`<li key=${`${command.group}${command.label}${command.href ?? ""}`} id=${`${id}-${index}`} role="option"
      aria-selected=${index === chosen} onMouseMove=${() => index !== chosen && setAt(index)} onClick=${() => run(command)}>
      <span class="palette-group">${command.group ?? ""}</span><span class="palette-label">${command.label}</span>${command.hint && html`<kbd>${shown(command.hint)}</kbd>`}</li>`)}</ul>
    ${found.length === 0 && html`<p class="palette-none">Nothing is called that.</p>`}
  <//>`;
}

function Help() {
  /** @type {Map<string, any[]>} */
  const groups = new Map();
  for (const key of keys.value) {
    const group = key.group ?? "Here";
    if (!groups.has(group)) groups.set(group, []);
    if (!groups.get(group)?.some((one) => one.keys === key.keys)) groups.get(group)?.push(key);
  }
  return html`<${Dialog} title="Keys" size="wide">
    <div class="key-groups">${[...groups].map(([group, found]) => html`<section key=${group}><h3>${group}</h3>
      <dl class="key-list">${found.map((key) => html`<div key=${key.keys}><dt>${key.keys.split(" ").map((/** @type {string} */ one) => html`<kbd key=${one}>${shown(one)}</kbd>`)}</dt><dd>${key.does}</dd></div>`)}</dl></section>`)}</div>
    <p class="help-more"><a href="/docs" onClick=${closeDialog}>Documentation</a> <a href="/docs/fields" onClick=${closeDialog}>Every field of a spec</a> <a href="/api" onClick=${closeDialog}>API reference</a></p>
  <//>`;
}
