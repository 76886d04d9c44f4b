// The form of a spec: its fields in groups, of which those are open that say something. Fields that no spec has stand
// first, with what was probably meant.
import {html, signal, useEffect, useState} from "../html.mjs";
import {visible} from "../text.mjs";
import {plural} from "../format.mjs";
import {groupsOf, isMap, pathOf} from "../spec-schema.mjs";
import {Field, FieldFault} from "./spec-field.mjs";

/** The field that somebody is to be brought to: it is shown, whatever its group is. */
export const wanted = signal("");
const OPEN_AT_FIRST = new Set(["identity", "process", "scale"]);

/** @param {{schema: any, form: import("./spec-field.mjs").Form, isNew: boolean, isReadable: boolean}} props */
export function SpecForm({schema, form, isNew, isReadable}) {
  const groups = groupsOf(schema);
  const {properties} = schema;
  return html`<form class="conf-form" aria-label="Fields of the spec" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    ${!isReadable && html`<p class="conf-locked" role="status">The YAML cannot be read as it is now. Correct it, and the form follows again.</p>`}
    <fieldset class="conf-all" disabled=${!isReadable}><legend class="unseen">All fields</legend>
      <${Strangers} form=${form} properties=${properties} />
      ${groups.map((group) => html`<${FieldGroup} key=${group.id} group=${group} properties=${properties} form=${form} isNew=${isNew} />`)}
    </fieldset>
  </form>`;
}

/** @param {{group: import("../spec-schema.mjs").Group, properties: any, form: any, isNew: boolean}} props */
function FieldGroup({group, properties, form, isNew}) {
  const set = group.fields.filter((name) => form.document?.[name] !== undefined);
  const wrong = form.problems.filter((/** @type {any} */ one) => group.fields.includes(pathOf(one.pointer ?? "")[0]));
  const [isOpen, open] = useState(OPEN_AT_FIRST.has(group.id) || set.length > 0);
  const [asked, ask] = useState(/** @type {string[]} */ ([]));
  const isShown = (/** @type {string} */ name) => !group.rare?.includes(name) || set.includes(name) || asked.includes(name) || wrongAt(wrong, name);
  const hidden = group.fields.filter((name) => !isShown(name));
  const show = (/** @type {string} */ name) => {
    open(true);
    ask((/** @type {string[]} */ was) => [...was, name]);
  };
  const add = (/** @type {string} */ name) => {
    show(name);
    requestAnimationFrame(() => /** @type {any} */ (document.querySelector(`.conf-form [data-path="/${name}"]`))?.focus());
  };
  useEffect(() => {
    if (group.fields.includes(wanted.value)) show(wanted.value);
  }, [wanted.value]);
  useEffect(() => {
    if (wrong.length) open(true);
  }, [wrong.length]);
  useEffect(() => {
    if (set.length) open(true);
    // What is emptied while one types in it stays.
    ask((/** @type {string[]} */ was) => [...new Set([...was, ...set])]);
  }, [set.join()]);
  return html`<details class="conf-section" open=${isOpen} onToggle=${(/** @type {any} */ event) => open(event.target.open)} id=${`group-${group.id}`}>
    <summary><h2>${group.title}</h2>${!isOpen && group.fields.length > 1 && html`<span class="conf-within">${group.fields.join(", ")}</span>`}<span
      class="conf-count">${wrong.length ? html`<span class="conf-bad">${plural(wrong.length, "problem")}</span>` : set.length ? `${set.length} set` : ""}</span></summary>
    ${isOpen && html`<div class="conf-fields">${group.fields.filter(isShown).map((name) => html`<${Field} key=${name} form=${form} node=${properties[name]} path=${[name]}
        isNeeded=${name === "worker_id"} isFixed=${name === "worker_id" && !isNew} />`)}
      ${hidden.length > 0 && html`<div class="conf-more"><span class="muted">Also</span>${hidden.map((name) => html`<button key=${name} type="button" class="conf-chip"
        onClick=${() => add(name)}><span class="unseen">Add </span>${name}</button>`)}</div>`}</div>`}
  </details>`;
}

/** @param {any[]} problems @param {string} name */
const wrongAt = (problems, name) => problems.some((one) => pathOf(one.pointer ?? "")[0] === name);

/** Fields of the document that no spec has, with the name that was probably meant. @param {{form: any, properties: any}} props */
function Strangers({form, properties}) {
  const names = Object.keys(form.document ?? {}).filter((name) => !(name in properties) || "not" in properties[name]);
  if (names.length === 0) return null;
  return html`<section class="conf-strangers" aria-label="Unknown fields">${names.map((name) => {
    const fault = form.problems.find((/** @type {any} */ one) => pathOf(one.pointer ?? "")[0] === name);
    const meant = /did you mean `?([\w.]+)`?/.exec(fault?.hint ?? "")?.[1];
    const value = form.document[name];
    const rename = () => {
      form.edit([name], undefined);
      form.edit([meant], value);
    };
    return html`<div key=${name} class="conf-stranger"><p><code>${visible(name)}: ${visible(isMap(value) || Array.isArray(value) ? JSON.stringify(value) : value)}</code></p>
      ${fault && html`<${FieldFault} fault=${fault} />`}
      <div class="row">${meant && meant in properties && html`<button type="button" class="button small" onClick=${rename}>Rename it to ${meant}</button>`}
        <button type="button" class="button small" onClick=${() => form.edit([name], undefined)}>Take it out</button></div></div>`;
  })}</section>`;
}
