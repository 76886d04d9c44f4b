// What this browser keeps for this address: saved views, how logs are shown, the theme. It is nowhere else.
import {html, useState} from "../html.mjs";
import {plural} from "../format.mjs";
import {toast} from "./notice.mjs";
import {Card} from "./page.mjs";

const PREFIX = "workerctl.";

/** In a person's words; what has none is named as it is. @type {[RegExp, (name: string, value: any) => string][]} */
const WORDS = [
  [/^views\./, (name, value) => `${Array.isArray(value) ? plural(value.length, "saved view") : "Saved views"} of ${name.slice(6)}`],
  [/^theme$/, () => "The theme"],
  [/^logs?\b/, (name) => `How logs are shown: ${name.replace(/^logs?[.-]?/, "") || "all of it"}`],
];

/** @returns {{key: string, label: string}[]} */
function kept() {
  const found = [];
  try {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(PREFIX)) continue;
      const name = key.slice(PREFIX.length);
      const words = WORDS.find(([fits]) => fits.test(name))?.[1];
      found.push({key, label: words ? words(name, parsed(localStorage.getItem(key))) : name});
    }
  } catch {
    // A browser that keeps nothing has nothing to forget.
  }
  return found.sort((a, b) => (a.label < b.label ? -1 : 1));
}

/** @param {string|null} text */
function parsed(text) {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}

export function Remembered() {
  const [items, setItems] = useState(kept);
  const forget = (/** @type {string[]} */ keys) => {
    for (const key of keys) localStorage.removeItem(key);
    setItems(kept());
    toast({tone: "good", text: "Forgotten. What is open keeps it until the page is loaded anew.", action: {label: "Load anew", run: () => location.reload()}});
  };
  const all = items.length > 1 && html`<button class="button small" onClick=${() => forget(items.map((/** @type {any} */ one) => one.key))}>Forget all</button>`;
  return html`<${Card} title="What this browser remembers" class="wide" aside=${all}>
    ${items.length === 0 ? html`<p class="muted">Nothing. Saved views, and how you like logs to be shown, are kept in this browser and nowhere else.</p>`
      : html`<ul class="remembered">${items.map((/** @type {any} */ one) => html`<li key=${one.key}><span>${one.label}</span>
        <button class="button small plain" aria-label=${`Forget: ${one.label}`} onClick=${() => forget([one.key])}>Forget</button></li>`)}</ul>`}
  <//>`;
}
