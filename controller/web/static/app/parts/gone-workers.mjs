// Workers whose specs are gone: the list of those of which something is kept, and the page of one of them.
import {html, useState} from "../html.mjs";
import {get} from "../api.mjs";
import {count, plural} from "../format.mjs";
import {mayAct} from "../session.mjs";
import {authorOf} from "../spec-history.mjs";
import {workers} from "../store.mjs";
import {oneLine, visible} from "../text.mjs";
import {Empty, Loading} from "./empty.mjs";
import {goBack} from "./go-back.mjs";
import {ErrorNotice} from "./notice.mjs";
import {Card, useFetched} from "./page.mjs";
import {Table} from "./table.mjs";
import {When} from "./when.mjs";

const PAGE = 200;

/** @param {{words: string[]}} props what their id, name or labels must hold */
export function GoneWorkers({words}) {
  const first = useFetched("/gone-workers", {limit: PAGE}, [workers.value.size]);
  const [more, setMore] = useState(/** @type {{items: any[], cursor: string|null}|null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const all = [...(first.data?.items ?? []), ...(more?.items ?? [])].filter((one) => !workers.value.has(one.worker_id));
  const rows = all.filter((one) => words.every((word) => `${one.worker_id} ${one.name} ${Object.entries(one.labels).map((pair) => pair.join("="))}`.toLowerCase().includes(word)));
  const cursor = more ? more.cursor : first.data?.next_cursor;
  const older = () => get("/gone-workers", {limit: PAGE, cursor}).then((page) => setMore({items: [...(more?.items ?? []), ...page.items], cursor: page.next_cursor}), setError);
  return html`<section class="gone" aria-label="Gone workers"><${Card} title="Gone" aside=${first.data && `${count(all.length)} of which something is kept`} flush>
    <${ErrorNotice} error=${first.error ?? error} retry=${first.again} />
    ${!first.data && !first.error ? html`<div class="pad"><${Loading} rows=${2} /></div>`
      : rows.length ? html`<${Table} label="Gone workers" rows=${rows} columns=${COLUMNS} keyOf=${keyOf} hrefOf=${hrefOf} />`
        : html`<p class="muted pad">${all.length ? "None of them matches." : "None. When a spec is taken away, its worker stands here: its log, its events and its history are kept for a while."}</p>`}
    ${cursor && html`<p class="event-more"><button class="button" onClick=${older}>Load older</button></p>`}
  <//></section>`;
}

const keyOf = (/** @type {any} */ one) => one.worker_id;
const hrefOf = (/** @type {any} */ one) => `/workers/${one.worker_id}`;

const COLUMNS = [
  {id: "worker", label: "Worker", class: "whole head grow", cell: (/** @type {any} */ one) => html`<a class="name" href=${hrefOf(one)}>${one.worker_id}</a>
    ${one.name && html` <span class="muted"><bdi>${oneLine(one.name, 60)}</bdi></span>`}`},
  {id: "gone", label: "Gone", class: "nowrap half", cell: (/** @type {any} */ one) => html`<${When} at=${one.gone_at} />`},
  {id: "file", label: "Stood in", class: "half nowrap", cell: (/** @type {any} */ one) => (one.source.file ? html`<code>${visible(one.source.file)}</code>` : "\u2013")},
  {id: "links", label: "What is kept", unnamed: true, class: "nowrap plain whole", cell: (/** @type {any} */ one) => html`<span class="gone-links">
    ${["Logs", "Events", "Metrics", "History"].map((name) => html`<a key=${name} href=${`${hrefOf(one)}/${name.toLowerCase()}`}>${name}</a>`)}</span>`},
];

/** The page of a worker that is not there: whether it was, and what is left of it. @param {{id: string}} props */
export function GoneWorker({id}) {
  const {data, isLoading} = useFetched(`/worker-configs/${id}/history`, {limit: 10});
  if (isLoading) return html`<div class="card pad"><${Loading} /></div>`;
  const [last, was] = [data?.items[0], data?.items.find((/** @type {any} */ one) => one.spec)];
  if (!last) {
    return html`<div class="card"><${Empty} title="There is no worker of this name" actions=${html`<a class="button" href="/workers">All workers</a>`}>
      No spec and no process is called ${visible(id)}. If there was one, its log lines and events are kept for a while: the tabs show them.<//></div>`;
  }
  const {who} = authorOf(last);
  const kept = data.items.filter((/** @type {any} */ one) => one.kind === "accepted").length;
  return html`<div class="card"><${Empty} title="Its spec is gone" actions=${html`
      ${mayAct.value && was && html`<button class="button primary" onClick=${() => goBack(id, was)}>Create it again</button>`}
      <a class="button" href=${`/workers/${id}/history`}>Its history</a><a class="button" href=${`/workers/${id}/logs`}>Its log</a>`}>
    ${last.kind === "removed" ? html`Taken away${who ? html` by <bdi>${visible(who)}</bdi>` : ""} <${When} at=${last.at} />; nothing of it runs.` : "Nothing of it runs."}
    ${kept > 0 && html` ${plural(kept, "revision")} of its spec ${kept === 1 ? "is" : "are"} kept, and so are its log and its events.`}<//></div>`;
}
