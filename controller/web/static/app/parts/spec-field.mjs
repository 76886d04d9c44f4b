// One field of a spec, by what its schema says: a label, a control, what it is, and what is wrong with it. Groups hold
// fields again. A control that is empty is not set: what holds then stands in it, greyed.
import {cls, html, useEffect, useId, useRef, useState} from "../html.mjs";
import {oneLine, visible} from "../text.mjs";
import {at, choicesOf, isMap, kindOf, numberOf, numbersOf, pointerOf, takesNull, takesNumbers, typed, wordsOf} from "../spec-schema.mjs";
import {MapRows} from "./spec-map.mjs";

/**
 * @typedef {object} Form what all fields of a form share
 * @property {any} document what is set @property {any} effective what holds, with defaults
 * @property {any[]} problems @property {(path: (string|number)[], value: any) => void} edit
 * @property {any} base what was set before; null for a new one
 */

/** @param {{form: Form, node: any, path: string[], isFixed?: boolean, isNeeded?: boolean}} props */
export function Field({form, node, path, isFixed = false, isNeeded = false}) {
  const id = useId();
  const name = path[path.length - 1];
  const kind = kindOf(node, path.length === 1 ? name : "");
  const value = at(form.document, path);
  const {help, effect} = wordsOf(node);
  const faults = faultsOf(form.problems, pointerOf(path), kind === "group" || kind === "map");
  const isChanged = form.base !== null && JSON.stringify(value) !== JSON.stringify(at(form.base, path));
  if (kind === "group") return html`<${GroupField} ...${{form, node, path, value, help, faults}} />`;
  const props = {
    id, node, value, holds: at(form.effective, path) ?? node.default, path, isFixed,
    set: (/** @type {any} */ next) => form.edit(path, next), described: `${id}-about`, isWrong: faults.length > 0,
  };
  return html`<div class=${cls("conf-field", isChanged && "is-changed", faults.length > 0 && "is-wrong")}>
    <div class="conf-label"><label for=${id} id=${`${id}-label`}>${name}</label>
      ${isNeeded && html`<small>needed</small>`}${isChanged && html`<small class="conf-edited">edited</small>`}
      ${value !== undefined && !isFixed && !isNeeded && html`<button type="button" class="conf-clear" onClick=${() => form.edit(path, undefined)}
        aria-label=${`Take ${path.join(".")} out`} title="Take it out: the default holds">\u00d7</button>`}</div>
    <div class="conf-control"><${CONTROLS[kind]} ...${props} />
      ${faults.map((fault, index) => html`<${FieldFault} key=${index} fault=${fault} />`)}
      <p class="conf-about" id=${`${id}-about`}>${ticked(help)}${effect && html` <span class="conf-effect">${effect}</span>`}</p></div>
  </div>`;
}

/** What is wrong at a place; `below`: also beneath it, where no field of its own stands. @param {any[]} problems @param {string} pointer @param {boolean} below */
export const faultsOf = (problems, pointer, below) =>
  problems.filter((one) => one.pointer === pointer || (below && one.pointer?.startsWith(`${pointer}/`)));

/** @param {{fault: any}} props */
export function FieldFault({fault}) {
  return html`<p class="conf-fault" role="alert"><span>${ticked(fault.message)}</span>${fault.hint && html`<span class="hint"> ${ticked(visible(fault.hint))}</span>`}</p>`;
}

/** Words in backticks as code. @param {string} text */
export function ticked(text) {
  return text.split("`").map((part, index) => (index % 2 ? html`<code>${visible(part)}</code>` : visible(part)));
}

/** A group: its fields, indented; one that may be absent has a button to begin it. @param {any} props */
function GroupField({form, node, path, value, help, faults}) {
  const [isOpen, open] = useState(false);
  const isNullable = [node.type].flat().includes("null");
  const name = path[path.length - 1];
  const own = faults.filter((/** @type {any} */ one) => one.pointer === pointerOf(path) || !at(node.properties, [one.pointer.split("/")[path.length + 1]]));
  if (isNullable && value === undefined && !isOpen) {
    return html`<div class="conf-field conf-absent"><div class="conf-label"><span>${name}</span></div><div class="conf-control">
      <button type="button" class="button small" onClick=${() => open(true)}>Add ${name}</button><p class="conf-about">${ticked(help)}</p></div></div>`;
  }
  return html`<fieldset class=${cls("conf-group", own.length > 0 && "is-wrong")}><legend>${name}
      ${isNullable && html`<button type="button" class="conf-clear" aria-label=${`Take ${path.join(".")} out`} title="Take all of it out"
        onClick=${() => (open(false), form.edit(path, undefined))}>\u00d7</button>`}</legend>
    <p class="conf-about">${ticked(help)}</p>
    ${own.map((/** @type {any} */ fault, /** @type {number} */ index) => html`<${FieldFault} key=${index} fault=${fault} />`)}
    ${Object.entries(node.properties).map(([key, below]) => html`<${Field} key=${key} form=${form} node=${below} path=${[...path, key]} />`)}
  </fieldset>`;
}

/**
 * What a person is typing, and what it means: what comes from elsewhere replaces it, what they type does not.
 * @param {any} value @param {(value: any) => string} write @param {(text: string) => any} read @param {(value: any) => void} set
 */
function useTyped(value, write, read, set) {
  const [text, setText] = useState(() => write(value));
  useEffect(() => {
    if (JSON.stringify(read(text)) !== JSON.stringify(value)) setText(write(value));
  }, [JSON.stringify(value)]);
  return /** @type {const} */ ([text, (/** @type {string} */ next) => {
    setText(next);
    set(read(next));
  }]);
}

/** @param {any} props */
function TextControl({id, node, value, holds, set, described, isWrong, isFixed, path}) {
  const kind = kindOf(node, "");
  const read = (/** @type {string} */ text) => {
    if (kind === "numbers") return numbersOf(text, !node.anyOf);
    if (kind === "number") return numberOf(text);
    return takesNumbers(node) && /^\d+$/.test(text) ? Number(text) : text === "" ? undefined : text;
  };
  const [text, type] = useTyped(value, typed, read, set);
  const isNumber = kind !== "text";
  return html`<div class="conf-input"><input id=${id} value=${text} data-path=${pointerOf(path)} aria-describedby=${described} aria-invalid=${isWrong || undefined} readonly=${isFixed}
    class=${isNumber ? "is-number" : ""}
    inputmode=${isNumber ? "decimal" : undefined} autocomplete="off" autocapitalize="off" spellcheck=${false}
    placeholder=${holds === undefined || holds === null || holds === "" ? "not set" : oneLine(typed(holds), 80)} onInput=${(/** @type {any} */ event) => type(event.target.value)} />
    ${takesNull(node) && html`<button type="button" class="button small plain" onClick=${() => set(null)}>no limit</button>`}</div>`;
}

/** @param {any} props */
function LongControl({id, value, set, described, isWrong, path}) {
  const [text, type] = useTyped(value, typed, (given) => (given === "" ? undefined : given), set);
  return html`<textarea id=${id} class="conf-long" rows="2" value=${text} data-path=${pointerOf(path)} aria-describedby=${described} aria-invalid=${isWrong || undefined}
    placeholder="not set" onInput=${(/** @type {any} */ event) => type(event.target.value)}></textarea>`;
}

/** @param {string} text */
const rowsFor = (text) => Math.min(12, Math.max(1, text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / 34)), 0)));

/** One on each line. @param {any} props */
function LinesControl({id, value, set, described, isWrong, path}) {
  const write = (/** @type {any} */ list) => (Array.isArray(list) ? list.map(String).join("\n") : typed(list));
  const read = (/** @type {string} */ text) => (text === "" ? undefined : text.split("\n"));
  const [text, type] = useTyped(value, write, read, set);
  return html`<textarea id=${id} rows=${rowsFor(text)} value=${text} data-path=${pointerOf(path)} aria-describedby=${described}
    aria-invalid=${isWrong || undefined} placeholder="one on each line" spellcheck=${false} onInput=${(/** @type {any} */ event) => type(event.target.value)}></textarea>`;
}

/** A line for a shell, or a list of arguments, one on each line. @param {any} props */
function CommandControl(props) {
  const {value, set, id, described, isWrong, path} = props;
  const [isList, setList] = useState(value === undefined || Array.isArray(value));
  useEffect(() => {
    if (value !== undefined) setList(Array.isArray(value));
  }, [Array.isArray(value), value === undefined]);
  const choose = (/** @type {boolean} */ wanted) => {
    setList(wanted);
    if (value === undefined || Array.isArray(value) === wanted) return;
    set(wanted ? String(value).split(/\s+/).filter(Boolean) : value.join(" "));
  };
  return html`<div class="conf-command"><div class="segments" role="group" aria-label="How the command is given">
      <button type="button" aria-pressed=${isList} onClick=${() => choose(true)}>Arguments</button>
      <button type="button" aria-pressed=${!isList} onClick=${() => choose(false)}>Line for a shell</button></div>
    ${isList ? html`<${LinesControl} ...${props} />` : html`<${ShellLine} ...${{value, set, id, described, isWrong, path}} />`}</div>`;
}

/** @param {any} props */
function ShellLine({id, value, set, described, isWrong, path}) {
  const [text, type] = useTyped(value, typed, (given) => (given === "" ? undefined : given), set);
  return html`<textarea id=${id} rows=${rowsFor(text)} value=${text} data-path=${pointerOf(path)} aria-describedby=${described}
    aria-invalid=${isWrong || undefined} placeholder="not set" spellcheck=${false} onInput=${(/** @type {any} */ event) => type(event.target.value)}></textarea>`;
}

/** @param {any} props */
function ChoiceControl({id, node, value, holds, set, described, isWrong, path}) {
  const choices = choicesOf(node);
  const known = value === undefined || choices.includes(value);
  const shown = holds === undefined || holds === null ? "not set" : `not set: ${holds}`;
  const pick = (/** @type {any} */ event) => {
    const chosen = event.target.value;
    set(chosen === "" ? undefined : choices.find((one) => String(one) === chosen));
  };
  return html`<select id=${id} data-path=${pointerOf(path)} aria-describedby=${described} aria-invalid=${isWrong || undefined} value=${value === undefined ? "" : String(value)} onChange=${pick}>
    <option value="">${shown}</option>${choices.map((one) => html`<option key=${String(one)} value=${String(one)}>${String(one)}</option>`)}
    ${!known && html`<option value=${String(value)}>${oneLine(isMap(value) ? JSON.stringify(value) : value, 60)}</option>`}</select>`;
}

/** @type {Record<string, any>} */
const CONTROLS = {
  text: TextControl, number: TextControl, numbers: TextControl, long: LongControl, lines: LinesControl, command: CommandControl,
  choice: ChoiceControl, map: MapRows,
};
