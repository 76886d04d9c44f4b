// The YAML of a spec: a text area with numbers of lines, those marked that have a problem. What is wrong with it stands
// below, each with its place: a click goes there.
import {cls, html, useRef} from "../html.mjs";
import {visible} from "../text.mjs";
import {CopyButton} from "./copy.mjs";
import {ticked} from "./spec-field.mjs";

/** @param {{text: string, problems: any[], onType: (text: string) => void, isWaiting: boolean, file: string, field: any}} props `isWaiting`: a form's edit is on its way into it */
export function SpecText({text, problems, onType, isWaiting, file, field}) {
  const numbers = useRef(/** @type {any} */ (null));
  const lines = text.split("\n").length;
  const marked = new Set(problems.map((one) => one.line).filter(Boolean));
  const onScroll = (/** @type {any} */ event) => {
    numbers.current.style.transform = `translateY(${-event.target.scrollTop}px)`;
  };
  return html`<section class="conf-yaml" aria-label="YAML">
    <header class="conf-yaml-head"><h2>${file || "YAML"}</h2><${CopyButton} text=${text} label="Copy" /></header>
    <div class="conf-code"><div class="conf-gutter" aria-hidden="true"><div ref=${numbers}>${Array.from({length: lines}, (_, index) => html`<span
        key=${index} class=${cls(marked.has(index + 1) && "is-marked")}>${index + 1}</span>`)}</div></div>
      <textarea ref=${field} aria-label="YAML of the spec" value=${text} wrap="off" spellcheck=${false} autocomplete="off" autocapitalize="off"
        readonly=${isWaiting} aria-invalid=${problems.length > 0 || undefined} onScroll=${onScroll} onKeyDown=${indent}
        placeholder=${EXAMPLE} onInput=${(/** @type {any} */ event) => onType(event.target.value)}></textarea></div>
  </section>`;
}

const EXAMPLE = "worker_id: mailer\ncommand: [python3, -m, mailer]\nreplicas: 2";

/** A new line begins where the one above does. The browser inserts it, so that its undo knows. @param {KeyboardEvent} event */
function indent(event) {
  const area = event.target;
  if (event.key !== "Enter" || event.isComposing || event.shiftKey || event.ctrlKey || !(area instanceof HTMLTextAreaElement) || area.readOnly) return;
  const line = area.value.slice(0, area.selectionStart).split("\n").at(-1) ?? "";
  const blanks = /^ */.exec(line)?.[0] ?? "";
  const deeper = /:\s*$/.test(line) && !line.trim().startsWith("#") ? "  " : "";
  if (blanks + deeper === "") return;
  event.preventDefault();
  document.execCommand("insertText", false, `\n${blanks}${deeper}`);
}

/** Go to a line. @param {HTMLTextAreaElement} area @param {number} line @param {number} [column] */
export function showLine(area, line, column) {
  const rows = area.value.split("\n");
  const start = rows.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  area.focus();
  area.setSelectionRange(start + Math.max(0, (column ?? 1) - 1), start + (rows[line - 1]?.length ?? 0));
  area.scrollTop = Math.max(0, (line - 4) * (area.scrollHeight / Math.max(1, rows.length)));
}

/** @param {{problems: any[], onShow?: (problem: any) => void}} props `onShow`: go there; without, there is nowhere to go */
export function SpecProblems({problems, onShow}) {
  return html`<ul class="conf-problems">${problems.map((one, index) => html`<li key=${index}>
    ${onShow ? html`<button type="button" class="conf-place" onClick=${() => onShow(one)}>${placeOf(one)}</button>` : html`<code>${placeOf(one)}</code>`}
    <span>${ticked(one.message)}${one.hint && html` <span class="hint">${ticked(one.hint)}</span>`}</span></li>`)}</ul>`;
}

/** "stop.grace_ms, line 3". @param {any} problem */
const placeOf = (problem) => [
  problem.pointer && visible(problem.pointer.slice(1).replaceAll("/", ".")), problem.line && `line ${problem.line}`,
].filter(Boolean).join(", ") || "the spec";
