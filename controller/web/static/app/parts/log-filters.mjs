// The filters above a log. Everything is in the address, so that a link shows the same to somebody else.
import {cls, html, useState} from "../html.mjs";
import {KINDS} from "../log-query.mjs";
import {params, param, FilterText} from "./filters.mjs";
import {setQuery} from "../router.mjs";
import {Icon} from "./icon.mjs";

const KIND_WORDS = {line: "Printed", lifecycle: "Starts and ends", error: "Errors", task: "Tasks"};
const SINCE = [["", "Any time"], ["15m", "Last 15 minutes"], ["1h", "Last hour"], ["6h", "Last 6 hours"], ["1d", "Last day"], ["7d", "Last 7 days"]];
const LEVEL = [["", "Any level"], ["debug", "Debug and worse"], ["info", "Info and worse"], ["warning", "Warnings and worse"], ["error", "Errors and worse"], ["critical", "Critical"]];

/**
 * @param {{asked: import("../log-query.mjs").Asked, fault: string, children?: any, matches: any, extra?: any, count: number}} props
 *   `children`: choices of this screen; `matches`: next and previous; `count`: how many filters are set
 */
export function LogFilters({asked, fault, children, matches, count}) {
  const [isOpen, setOpen] = useState(false);
  return html`<div class="log-filters">
    <div class="filters">
      <${FilterText} label=${asked.isFilter ? "Only lines with this text" : "Mark this text"} placeholder=${asked.isFilter ? "Text in the line" : asked.isPattern ? "Pattern to mark" : "Text to mark"} />
      <div class="segments" role="group" aria-label="What the text does">
        <button aria-pressed=${asked.isFilter} onClick=${() => setQuery({mode: null, regex: null})} title="Only lines with the text; the server searches all that is kept">Filter</button>
        <button aria-pressed=${!asked.isFilter} onClick=${() => setQuery({mode: "highlight", invert: null})} title="All lines, and the text marked in those that are loaded">Highlight</button>
      </div>
      <div class="toggles" role="group" aria-label="How the text is compared">
        <${Toggle} name="case" is=${asked.matchCase} label="Aa, match case" title="Match case">Aa<//>
        ${asked.isFilter
          ? html`<${Toggle} name="invert" is=${asked.invert} label="Not: lines without the text" title="Only lines without the text">Not<//>`
          : html`<${Toggle} name="regex" is=${asked.isPattern} label=".* regular expression" title="The text is a regular expression">.*<//>`}
      </div>
      ${matches}
      <button class=${cls("button small filters-toggle", isOpen && "is-open")} aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}><${Icon} name="filter" />Filters${count > 0 && ` (${count})`}</button>
    </div>
    ${fault && html`<p class="log-fault" role="alert">This is no regular expression: ${fault}</p>`}
    <div class=${cls("log-choices", isOpen && "is-open")}>
      ${children}
      <${Choice} name="level" label="Level" options=${LEVEL} />
      <${TimeRange} />
      <${Kinds} on=${asked.kinds} />
    </div>
  </div>`;
}

/** @param {{name: string, is: boolean, label: string, title: string, children: any}} props */
function Toggle({name, is, label, title, children}) {
  return html`<button class="toggle" aria-pressed=${is} aria-label=${label} title=${title} onClick=${() => setQuery({[name]: is ? null : 1})}>${children}</button>`;
}

/** One of some, as a select. @param {{name: string, label: string, options: any[]}} props */
export function Choice({name, label, options}) {
  const value = param(name);
  const known = options.some(([one]) => one === value) ? options : [...options, [value, value]];
  return html`<select class=${cls("log-select", value && "is-set")} aria-label=${label} value=${value} onChange=${(/** @type {any} */ event) => setQuery({[name]: event.target.value})}>
    ${known.map(([one, word]) => html`<option key=${one} value=${one} selected=${one === value}>${word}</option>`)}
  </select>`;
}

/** @param {{on: string[]}} props */
function Kinds({on}) {
  const now = on.length ? on : ["line"];
  const toggle = (/** @type {string} */ kind) => {
    const next = KINDS.filter((one) => (one === kind ? !now.includes(kind) : now.includes(one)));
    setQuery({kind: next.length === 0 || (next.length === 1 && next[0] === "line") ? null : next});
  };
  return html`<div class="choices" role="group" aria-label="Kinds of records">${KINDS.map((kind) => html`<button key=${kind} class="choice" aria-pressed=${now.includes(kind)} onClick=${() => toggle(kind)}>${KIND_WORDS[kind]}</button>`)}</div>`;
}

const local = (/** @type {string} */ text) => {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? "" : new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
};

/** A span that ends now, or two times. */
function TimeRange() {
  const [since, until] = [param("since"), param("until")];
  const [isOwn, setOwn] = useState(Boolean(until) || (Boolean(since) && !SINCE.some(([one]) => one === since)));
  const choose = (/** @type {any} */ event) => {
    const {value} = event.target;
    setOwn(value === "own");
    if (value !== "own") setQuery({since: value, until: null});
  };
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) => {
    const ms = Date.parse(event.target.value);
    setQuery({[name]: Number.isNaN(ms) ? null : new Date(ms).toISOString()});
  };
  return html`<select class=${cls("log-select", (since || until) && "is-set")} aria-label="Time" value=${isOwn ? "own" : since} onChange=${choose}>
      ${SINCE.map(([one, word]) => html`<option key=${one} value=${one} selected=${!isOwn && one === since}>${word}</option>`)}
      <option value="own" selected=${isOwn}>Between\u2026</option>
    </select>
    ${isOwn && html`<span class="log-range"><input type="datetime-local" step="1" aria-label="Since" value=${local(since)} onChange=${set("since")} />
      <span aria-hidden="true">\u2013</span><input type="datetime-local" step="1" aria-label="Until" value=${local(until)} onChange=${set("until")} /></span>`}`;
}

/** How many of these parameters are set. @param {string[]} names */
export const countOf = (names) => names.reduce((sum, name) => sum + params(name).length, 0);
