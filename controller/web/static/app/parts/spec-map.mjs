// A map of a spec as rows of a name and a value: labels, variables, what a worker waits for, where secrets come from.
// Rows are kept while they are typed: an unfinished name is no entry yet, and moves no other row.
import {html, useEffect, useState} from "../html.mjs";
import {choicesOf, entryOf, isMap, kindOf, pointerOf} from "../spec-schema.mjs";
import {Icon} from "./icon.mjs";

/** @typedef {{name: string, value: any}} Row */

/** @param {any} props as of every control */
export function MapRows({id, node, value, set, path, described}) {
  const [rows, setRows] = useState(() => rowsOf(value));
  const entry = entryOf(node) ?? {};
  useEffect(() => {
    if (JSON.stringify(mapOf(rows)) !== JSON.stringify(value)) setRows(rowsOf(value));
  }, [JSON.stringify(value)]);
  const change = (/** @type {Row[]} */ next) => {
    setRows(next);
    set(mapOf(next));
  };
  const at = (/** @type {number} */ index, /** @type {Partial<Row>} */ changes) => change(rows.map((row, place) => (place === index ? {...row, ...changes} : row)));
  const first = kindOf(entry, "") === "choice" ? choicesOf(entry)[0] : entry.properties ? {file: ""} : "";
  const field = path[path.length - 1];
  return html`<div class="conf-rows" role="group" aria-labelledby=${`${id}-label`} aria-describedby=${described}>
    ${rows.map((row, index) => html`<div key=${index} class="conf-row" data-path=${pointerOf([...path, row.name])}>
      <input aria-label=${`Name ${index + 1} of ${field}`} value=${row.name} placeholder="name" autocomplete="off" autocapitalize="off" spellcheck=${false}
        onInput=${(/** @type {any} */ event) => at(index, {name: event.target.value})} />
      <${RowValue} entry=${entry} value=${row.value} label=${`of ${row.name || `row ${index + 1}`} in ${field}`} set=${(/** @type {any} */ next) => at(index, {value: next})} />
      <button type="button" class="button icon-only small plain" aria-label=${`Remove ${row.name || `row ${index + 1}`} of ${field}`}
        onClick=${() => change(rows.filter((_, place) => place !== index))}><${Icon} name="close" /></button></div>`)}
    <button type="button" id=${id} data-path=${pointerOf(path)} class="button small"
      onClick=${() => setRows([...rows, {name: "", value: first}])}>Add<span class="unseen"> to ${field}</span></button>
  </div>`;
}

/** @param {{entry: any, value: any, label: string, set: (value: any) => void}} props */
function RowValue({entry, value, label, set}) {
  if (kindOf(entry, "") === "choice") {
    return html`<select aria-label=${`Value ${label}`} value=${String(value)} onChange=${(/** @type {any} */ event) => set(event.target.value)}>
      ${choicesOf(entry).map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select>`;
  }
  if (entry.properties) return html`<${Pair} entry=${entry} value=${value} label=${label} set=${set} />`;
  return html`<input aria-label=${`Value ${label}`} value=${isMap(value) ? JSON.stringify(value) : value ?? ""} placeholder="value" autocomplete="off" spellcheck=${false}
    onInput=${(/** @type {any} */ event) => set(event.target.value)} />`;
}

/** Where a value comes from: which way, and what. @param {any} props */
function Pair({entry, value, label, set}) {
  const ways = Object.keys(entry.properties);
  const [way] = isMap(value) ? Object.keys(value) : ways;
  const text = isMap(value) ? value[way] ?? "" : "";
  return html`<span class="conf-pair"><select aria-label=${`Way ${label}`} value=${way} onChange=${(/** @type {any} */ event) => set({[event.target.value]: text})}>
      ${ways.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select>
    <input aria-label=${`Value ${label}`} value=${text} autocomplete="off" spellcheck=${false} placeholder=${way === "file" ? "/run/secrets/name" : "VARIABLE"}
      onInput=${(/** @type {any} */ event) => set({[way ?? ways[0]]: event.target.value})} /></span>`;
}

/** @param {any} value @returns {Row[]} */
const rowsOf = (value) => (isMap(value) ? Object.entries(value).map(([name, one]) => ({name, value: one})) : []);

/** @param {Row[]} rows */
function mapOf(rows) {
  const named = rows.filter((row) => row.name !== "");
  return named.length ? Object.fromEntries(named.map((row) => [row.name, row.value])) : undefined;
}
