// What changes of a spec, field by field: what a process has, what it is to have, and what that does to it.
import {html} from "../html.mjs";
import {visible} from "../text.mjs";
import {Tag} from "./badge.mjs";

/** @type {Record<string, [string, string, string]>} The words of an effect: tone, word, what it means. */
const EFFECTS = {
  restart: ["warn", "restart", "The process is replaced by a new one."],
  in_place: ["", "in place", "It applies from the next decision on; the process stays."],
  none: ["", "nothing", "No process notices."],
};

/** @param {{fields: {path: string, from: any, to: any, effect: string}[]}} props */
export function FieldChanges({fields}) {
  if (fields.length === 0) return null;
  return html`<dl class="changes">${fields.map((one) => {
    const [tone, word, means] = EFFECTS[one.effect] ?? ["", one.effect, ""];
    return html`<div key=${one.path}><dt><code>${visible(one.path)}</code></dt>
      <dd><span class="was"><span class="unseen">from </span><${Value} value=${one.from} /></span><span class="arrow-to" aria-hidden="true">\u2192</span><span
        class="unseen"> to </span><span class="will"><${Value} value=${one.to} /></span></dd>
      <dd class="effect"><span class="unseen">effect: </span><${Tag} tone=${tone} title=${means}>${word}<//></dd></div>`;
  })}</dl>`;
}

/** @param {{value: any}} props */
function Value({value}) {
  if (value === null || value === undefined) return html`<span class="muted">not set</span>`;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return html`<code>${visible(text === "" ? '""' : text)}</code>`;
}
