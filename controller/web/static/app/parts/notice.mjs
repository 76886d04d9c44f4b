// What the page tells by itself: notices within a screen, errors of the API with what they hint at, and toasts for what
// a person has just done. Toasts are read out, politely; one that offers an undo stays as long as it is pointed at.
import {cls, html, signal, useEffect, useState} from "../html.mjs";
import {oneLine, visible} from "../text.mjs";
import {withCode} from "./doc-link.mjs";
import {Icon} from "./icon.mjs";

/** @param {{tone?: "info"|"good"|"warn"|"bad", title?: any, children?: any, actions?: any}} props */
export function Notice({tone = "info", title, children, actions}) {
  return html`<div class=${`notice n-${tone}`} role=${tone === "bad" ? "alert" : undefined}>
    <div class="notice-text">${title && html`<strong>${title}</strong>`}${children && html`<div>${children}</div>`}</div>
    ${actions && html`<div class="notice-actions">${actions}</div>`}
  </div>`;
}

/** An error of the API with all it says; `retry` offers to ask again. @param {{error: any, retry?: () => void, title?: string}} props */
export function ErrorNotice({error, retry, title}) {
  if (!error) return null;
  const faults = error.errors ?? [];
  return html`<${Notice} tone="bad" title=${title ?? oneLine(error.message)}
    actions=${retry && html`<button class="button" onClick=${retry}>Try again</button>`}>
    ${title && html`<p>${withCode(visible(error.message))}</p>`}
    ${faults.length > 0 && html`<ul class="faults">${faults.map((/** @type {any} */ fault) => html`<li>
      ${where(fault) && html`<code>${where(fault)}</code>${" "}`}${withCode(visible(fault.message))}
      ${fault.hint && html`<div class="hint">${withCode(visible(fault.hint))}</div>`}
    </li>`)}</ul>`}
    ${error.retryAfterS > 0 && html`<p>It may work again in ${error.retryAfterS} s.</p>`}
  <//>`;
}

/** "web.yaml:7:3", or the pointer into what was sent. @param {any} fault */
export const where = (fault) =>
  fault.file ? [fault.file, fault.line, fault.column].filter((part) => part !== null && part !== undefined).join(":")
    : (fault.pointer ?? "");

/**
 * @typedef {object} Toast
 * @property {any} text
 * @property {"good"|"bad"|"info"} [tone]
 * @property {{label: string, run: () => void}} [action] "Undo"
 * @property {string} [href] where more is to be seen
 */
/** @type {import("../html.mjs").Signal<(Toast & {id: number})[]>} */
const toasts = signal([]);
let lastId = 0;

/** Show one; the returned function changes it. @param {Toast} shown @returns {(next: Partial<Toast>) => void} */
export function toast(shown) {
  const id = ++lastId;
  toasts.value = [...toasts.value, {tone: "info", ...shown, id}].slice(-4);
  return (next) => {
    const known = toasts.value.some((one) => one.id === id);
    toasts.value = known
      ? toasts.value.map((one) => (one.id === id ? {...one, ...next} : one))
      : [...toasts.value, {tone: "info", ...shown, ...next, id}].slice(-4);
  };
}

/** An error of an action. @param {any} error */
export function toastError(error) {
  const fault = error.errors?.[0];
  const more = [fault && fault.message !== error.message ? fault.message : "", fault?.hint ?? ""].filter(Boolean).join("; ");
  toast({tone: "bad", text: html`<strong>${oneLine(error.message)}</strong>${more && html`<div>${oneLine(more)}</div>`}`});
}

const close = (/** @type {number} */ id) => {
  toasts.value = toasts.value.filter((one) => one.id !== id);
};

/** @param {{one: Toast & {id: number}}} props */
function ToastCard({one}) {
  const [isHeld, hold] = useState(false);
  useEffect(() => {
    if (isHeld) return undefined;
    const timer = setTimeout(close, one.tone === "bad" ? 15_000 : 7000, one.id);
    return () => clearTimeout(timer);
  }, [isHeld, one]);
  return html`<div class=${cls("toast", `t-${one.tone}`)} onMouseEnter=${() => hold(true)} onMouseLeave=${() => hold(false)}
    onFocusIn=${() => hold(true)} onFocusOut=${() => hold(false)}>
    <div class="toast-text">${one.text}</div>
    ${one.href && html`<a class="button small" href=${one.href}>Show</a>`}
    ${one.action && html`<button class="button small" onClick=${() => {
      one.action?.run();
      close(one.id);
    }}>${one.action.label}</button>`}
    <button class="button icon-only small plain" aria-label="Dismiss" onClick=${() => close(one.id)}><${Icon} name="close" /></button>
  </div>`;
}

/** Where toasts appear; once, in the shell. */
export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map((one) => html`<${ToastCard} key=${one.id} one=${one} />`)}
  </div>`;
}

/** What is wrong with specs, each with its place and what to write instead. @param {{problems: any[]}} props */
export const Faults = ({problems}) => html`<ul class="conf-faults">${problems.map((one, index) => html`<li key=${index}><code>${visible(where(one))}</code>
  <span>${withCode(visible(one.message))}${one.hint && html` <span class="hint">${withCode(visible(one.hint))}</span>`}</span></li>`)}</ul>`;
