// The API, request by request, as this server describes itself (openapi.json): who may, what is sent, what is answered,
// and the same as curl. What only reads can be tried here.
import {html, useMemo} from "../html.mjs";
import {grouped} from "../api-reference.mjs";
import {plural} from "../format.mjs";
import {place} from "../router.mjs";
import {Operation} from "../parts/operation.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {FilterText, param} from "../parts/filters.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {OnThisPage, useAnchor} from "../parts/on-this-page.mjs";
import {PageHead, useFetched} from "../parts/page.mjs";
import {useCommands} from "../keys.mjs";

export default function Reference() {
  const {data, error, again} = useFetched("/openapi.json");
  const groups = useMemo(() => (data ? grouped(data) : []), [data]);
  const words = param("q").toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (/** @type {any} */ one) => words.every((word) => `${one.method} ${one.path} ${one.summary} ${one.role}`.toLowerCase().includes(word));
  const shown = groups.map((group) => ({...group, operations: group.operations.filter(fits)})).filter((group) => group.operations.length);
  const number = groups.reduce((sum, group) => sum + group.operations.length, 0);
  const opened = decodeURIComponent(place.value.hash.slice(1));
  useAnchor(Boolean(data));
  useCommands(() => groups.flatMap((group) => group.operations.map((one) => ({group: "API", label: `${one.method} ${one.path}`, words: one.summary, href: `/api#${one.id}`}))), [groups]);
  return html`<${PageHead} title="API reference" actions=${html`<a class="button" href="/api/v1/openapi.json" download="workerctl-openapi.json">openapi.json</a>`}>
      ${data ? `${plural(number, "request")} of version ${data.info.version}.` : ""} How they go together: <a href="/docs/api">the HTTP API</a>.<//>
    <${ErrorNotice} error=${error} retry=${again} />
    <div class="filters"><${FilterText} label="Filter requests" placeholder="Part of a path, a method, a role" /></div>
    ${!data ? !error && html`<${Loading} rows=${10} />` : html`<div class="read of-api">
      <div class="read-text api-groups">${shown.length ? shown.map((group) => html`<section key=${group.title} class="api-group" aria-labelledby=${anchorOf(group.title)}>
        <h2 id=${anchorOf(group.title)} tabindex="-1">${group.title}</h2>
        <div class="card">${group.operations.map((one) => html`<${Operation} key=${one.id} one=${one} shapes=${data.components.schemas} isNamed=${one.id === opened} />`)}</div></section>`)
        : html`<div class="card"><${Empty} title="No request is called that"><p><a href="/api">All requests</a></p><//></div>`}</div>
      <${OnThisPage} entries=${shown.map((group) => ({anchor: anchorOf(group.title), label: html`${group.title} <span class="muted">${group.operations.length}</span>`}))} />
    </div>`}`;
}

const anchorOf = (/** @type {string} */ title) => `group-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
