// Which span of time: the usual ones, or from and until; in the URL.
import {html, useState} from "../html.mjs";
import {RANGES} from "../figure-history.mjs";
import {go, withQuery} from "../router.mjs";
import {serverNow} from "../time.mjs";

/** @param {{range: import("../figure-history.mjs").Range}} props */
export function RangePicker({range}) {
  const [isOpen, setOpen] = useState(false);
  const isCustom = range.name === "custom";
  const choose = (/** @type {string} */ name) => {
    setOpen(false);
    go(withQuery({range: name === "1h" ? null : name, from: null, to: null}), {keepScroll: true});
  };
  return html`<div class="range"><div class="segments" role="group" aria-label="Span of time">
      ${RANGES.map(([name, , label]) => html`<button key=${name} type="button" aria-pressed=${range.name === name} onClick=${() => choose(name)}>${label}</button>`)}
      <button type="button" aria-pressed=${isCustom} aria-expanded=${isOpen || isCustom} onClick=${() => setOpen(!isOpen)}>Custom</button></div>
    ${(isOpen || isCustom) && html`<${Between} key=${range.from + range.to} range=${range} />`}</div>`;
}

/** As an input of the browser has it, in this person's time. @param {number} ms */
const local = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

/** @param {{range: any}} props */
function Between({range}) {
  const [from, setFrom] = useState(local(range.from ? Date.parse(range.from) : serverNow() - (range.span || 3600) * 1000));
  const [to, setTo] = useState(local(range.to ? Date.parse(range.to) : serverNow()));
  const isWrong = !(Date.parse(from) < Date.parse(to));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    go(withQuery({range: null, from: new Date(from).toISOString(), to: new Date(to).toISOString()}), {keepScroll: true});
  };
  return html`<form class="between" onSubmit=${submit}>
    <label><span>From</span><input type="datetime-local" value=${from} onInput=${(/** @type {any} */ event) => setFrom(event.target.value)} /></label>
    <label><span>until</span><input type="datetime-local" value=${to} onInput=${(/** @type {any} */ event) => setTo(event.target.value)} /></label>
    <button class="button small" disabled=${isWrong}>Show</button>${isWrong && html`<span class="muted">the end is before the beginning</span>`}</form>`;
}
