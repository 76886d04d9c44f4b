// Every field of a spec, as `workerctl explain` tells it: type, default, bounds, an example, and what changing it does to
// a worker that runs. Each has an address of its own.
import {cls, html, useEffect} from "../html.mjs";
import {fields, loadDocs, trouble} from "../docs-index.mjs";
import {Tag} from "../parts/badge.mjs";
import {CodeBlock} from "../parts/code.mjs";
import {withCode} from "../parts/doc-link.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {FilterText, param} from "../parts/filters.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {OnThisPage, useAnchor} from "../parts/on-this-page.mjs";
import {PageHead} from "../parts/page.mjs";

/** What a change does, by its effect. @type {Record<string, [string, string]>} */
const EFFECTS = {
  restart: ["restarts", "warn"],
  in_place: ["in place", "good"],
  none: ["no restart", "good"],
};

export default function Fields() {
  useEffect(loadDocs, []);
  const all = fields.value;
  const words = param("q").toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (/** @type {any} */ one) => words.every((word) => `${one.path} ${one.description}`.toLowerCase().includes(word));
  const shown = (all ?? []).filter(fits);
  useAnchor(Boolean(all));
  return html`<${PageHead} title="Every field of a spec" over=${html`<a href="/docs">Documentation</a>`}>
      What may stand in a worker's file. The page about <a href="/docs/specs">specs</a> says how they go together.<//>
    <${ErrorNotice} error=${trouble.value} retry=${loadDocs} />
    <div class="filters"><${FilterText} label="Filter fields" placeholder="Part of a name or a meaning" />
      ${words.length > 0 && all && html`<span class="muted">${shown.length} of ${all.length} fields</span>`}</div>
    ${all === null ? !trouble.value && html`<${Loading} rows=${10} />` : html`<div class="read">
      <div class=${cls("read-text", shown.length > 0 && "field-list")}>${shown.length ? shown.map((one) => html`<${Field} key=${one.path} one=${one} />`)
        : html`<div class="card"><${Empty} title="No field is about that"><p><a href="/docs/fields">All fields</a></p><//></div>`}</div>
      <${OnThisPage} entries=${shown.map((one) => ({anchor: one.path, label: one.path.split(".").at(-1), isBelow: one.path.includes(".")}))} />
    </div>`}`;
}

/** @param {{one: any}} props */
function Field({one}) {
  const [word, tone] = EFFECTS[one.effect] ?? ["", ""];
  const facts = [one.type, one.required ? "required" : one.default && html`default <code>${one.default}</code>`, ...one.constraints].filter(Boolean);
  return html`<section class="field-doc" aria-labelledby=${one.path}>
    <h2 id=${one.path} tabindex="-1"><code>${one.path}</code><a class="anchor" href=${`#${one.path}`} aria-label=${`Link to ${one.path}`}>#</a>
      ${one.supported ? word && html`<${Tag} tone=${tone} title="What a change does to a worker that runs">${word}<//>` : html`<${Tag}>not yet<//>`}</h2>
    ${one.supported ? html`<div class="field-means"><p class="field-facts">${facts.map((fact, index) => html`<span key=${index}>${fact}</span>`)}</p>
      <p>${withCode(one.description)}</p>
      ${one.change && html`<p class="muted">When it changes: ${withCode(one.change)}.</p>`}</div>
      ${one.example && html`<${CodeBlock} text=${one.example} lang="yaml" name=${`Example of ${one.path}`} />`}`
    : html`<p>${withCode(one.description)} It comes with ${one.comes_with}; <a href="/docs/not-yet">what there is meanwhile</a>.</p>`}
  </section>`;
}
