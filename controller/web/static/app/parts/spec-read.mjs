// A spec for who may not change it, or that nobody can here, for its file is torn: the file as it stands, with secrets
// hidden, and what is wrong with it.
import {html} from "../html.mjs";
import {visible} from "../text.mjs";
import {Snippet} from "./copy.mjs";
import {Empty, Loading} from "./empty.mjs";
import {ErrorNotice, Notice} from "./notice.mjs";
import {Card, PageHead, useFetched} from "./page.mjs";
import {SpecProblems} from "./spec-text.mjs";

/** @param {{id: string, torn?: any}} props `torn`: why its file cannot be edited here */
export function SpecRead({id, torn}) {
  const {data, error, again} = useFetched(`/worker-configs/${id}/text`);
  const {data: config} = useFetched(`/worker-configs/${id}`);
  const own = data && data.text.split("\n").slice(data.line === firstLine(data) ? 0 : data.line - 1, data.last_line).join("\n").replace(/\n---\s*$/, "\n");
  return html`<${PageHead} over=${html`<a href="/configuration">Configuration</a>`} title=${id} actions=${html`<a class="button" href=${`/workers/${id}`}>Worker</a>`}>
      ${data && html`In <code>${visible(data.file)}</code>. ${torn ? "It cannot be edited here until it can be read again." : "You may read it; changing it takes the role operator."}`}<//>
    ${error?.status === 404 ? html`<div class="card"><${Empty} title="There is no spec of this name"
      actions=${html`<a class="button" href="/configuration">All specs</a>`} /></div>` : html`<${ErrorNotice} error=${error} retry=${again} />`}
    <div class="stack">${torn && html`<${Notice} tone="bad" title="Its file cannot be read" actions=${html`<button class="button" onClick=${() => location.reload()}>Try again</button>`}>
        Correct it where it is; what was good of it goes on meanwhile.<//>`}
      ${config?.problems.length > 0 && html`<${Card} title="Problems"><${SpecProblems} problems=${config.problems} /><//>`}
      ${data ? html`<${Snippet} name=${`Spec of ${id}`} text=${visible(own)} />` : !error && html`<${Loading} rows=${8} />`}</div>`;
}

/** The line of the first thing that is no comment: what stands above belongs to it. @param {any} data */
const firstLine = (data) => data.text.split("\n").findIndex((/** @type {string} */ line) => line.trim() && !line.trim().startsWith("#")) + 1;
