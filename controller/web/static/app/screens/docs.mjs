// The documentation: what there is to read, and finding a heading or a field by its words. The query is in the URL.
import {html, useEffect} from "../html.mjs";
import {docCommands, fields, loadDocs, parted, shelved, topics, trouble} from "../docs-index.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {FilterText, param} from "../parts/filters.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {PageHead} from "../parts/page.mjs";
import {score} from "../parts/palette.mjs";

const MOST = 60;

export default function Docs() {
  useEffect(loadDocs, []);
  const words = param("q").toLowerCase().split(/\s+/).filter(Boolean);
  return html`<${PageHead} title="Documentation">The pages that came with this controller, as <code>workerctl help</code> shows them.<//>
    <${ErrorNotice} error=${trouble.value} retry=${loadDocs} />
    <div class="filters"><${FilterText} label="Find in titles, headings and fields" placeholder="Find a heading or a field" /></div>
    ${topics.value === null ? !trouble.value && html`<${Loading} rows=${8} />` : words.length ? html`<${Found} words=${words} />` : html`<${Shelves} />`}`;
}

function Shelves() {
  return html`<div class="shelves">${shelved(topics.value ?? []).map((shelf) => html`<section key=${shelf.title} class="shelf">
    <h2>${shelf.title}</h2>
    <ul>${shelf.topics.map((one) => {
      const [name, about] = parted(one.title);
      return html`<li key=${one.topic}><a href=${`/docs/${one.topic}`}><strong>${name}</strong>${about && html`<span>${about}</span>`}</a></li>`;
    })}${shelf.title === "Workers" && html`<li key="fields"><a href="/docs/fields"><strong>Every field</strong><span>Type, default, an example, and what changing it does</span></a></li>`}${
      shelf.title === "From outside" && html`<li key="api"><a href="/api"><strong>API reference</strong><span>Every request, as this server answers it</span></a></li>`}</ul></section>`)}</div>`;
}

/** @param {{words: string[]}} props */
function Found({words}) {
  const all = docCommands().map((one) => ({one, points: score(`${one.label} ${one.words}`, words)})).filter(({points}) => points > 0);
  const found = all.sort((a, b) => b.points - a.points).slice(0, MOST).map(({one}) => one);
  if (found.length === 0) {
    return html`<div class="card"><${Empty} title="No heading and no field is called that"><p>This looks into titles, headings and the names of ${fields.value?.length ?? 0} fields. <a href="/docs">All pages</a></p><//></div>`;
  }
  return html`<ul class="found card" aria-label="What was found">${found.map((one) => html`<li key=${one.href}><a href=${one.href}>
    <span class="found-kind">${one.group === "Field" ? "field" : "page"}</span>${one.group === "Field" ? html`<code>${one.label}</code>` : one.label}</a></li>`)}</ul>`;
}
