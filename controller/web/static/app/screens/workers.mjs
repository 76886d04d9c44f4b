// All workers: filters in the URL, the worst first, and acting on many at once.
import {html, useMemo, useState} from "../html.mjs";
import {figuresOf} from "../figures.mjs";
import {bytes, count, duration, percent, plural} from "../format.mjs";
import {setQuery, withQuery} from "../router.mjs";
import {exists} from "../screens.mjs";
import {mayAct} from "../session.mjs";
import {nextRetry, rank, shortly, STATUSES, upFor} from "../status.mjs";
import {byUrgency} from "../store.mjs";
import {oneLine, visible} from "../text.mjs";
import {now} from "../time.mjs";
import {Status, StatusShape, Tag} from "../parts/badge.mjs";
import {confirmAction} from "../parts/confirm.mjs";
import {Empty} from "../parts/empty.mjs";
import {GoneWorkers} from "../parts/gone-workers.mjs";
import {ActiveFilters, FilterChoices, FilterText, param, params, SavedViews} from "../parts/filters.mjs";
import {sensible, WorkerMenu} from "../parts/menu.mjs";
import {PageHead} from "../parts/page.mjs";
import {Spark} from "../parts/spark.mjs";
import {InstanceStrip} from "../parts/strip.mjs";
import {Table} from "../parts/table.mjs";
import {Due} from "../parts/when.mjs";

/** @type {Record<string, (worker: any) => any>} What a column is sorted by. */
const SORTS = {
  status: rank,
  worker: (one) => one.worker_id,
  restarts: (one) => -one.restart_count,
  uptime: (one) => -(upFor(one, now.peek()) ?? -1),
  cpu: (one) => -(one.cpu_percent ?? -1),
  memory: (one) => -(one.memory_bytes ?? -1),
};

export default function Workers() {
  const [selected, select] = useState(/** @type {Set<string>} */ (new Set()));
  const all = byUrgency.value;
  const rows = sorted(all.filter(covers()));
  const chosen = rows.filter((one) => selected.has(one.worker_id));
  const sort = sortOf();
  const columns = useMemo(() => columnsOf(), []);
  const onSort = (/** @type {string} */ by) => setQuery({sort: by === sort.by && !sort.down ? `-${by}` : by === "status" ? null : by});
  return html`<${PageHead} title="Workers" actions=${html`<${SavedViews} screen="workers" />${mayAct.value && exists("/configuration/new") && html`<a class="button primary" href="/configuration/new">New worker</a>`}`} />
    <div class="filters">
      <${FilterText} label="Filter workers" placeholder="Name, id or label" />
      <${FilterChoices} name="status" label="Status" options=${choices(all)} />
      <button class="choice gone-choice" aria-pressed=${param("gone") === "1"} title="Workers whose specs are gone, and of which something is kept"
        onClick=${() => setQuery({gone: param("gone") === "1" ? null : 1})}>Gone</button>
    </div>
    <${ActiveFilters} names=${["q", "status", "label", "backend"]}>${rows.length === all.length ? plural(all.length, "worker") : `${count(rows.length)} of ${plural(all.length, "worker")}`}<//>
    ${rows.length
      ? html`<div class="card"><${Table} label="Workers" rows=${rows} columns=${columns} keyOf=${keyOf} hrefOf=${hrefOf} sort=${sort} onSort=${onSort}
          selected=${mayAct.value ? selected : undefined} onSelect=${select} classOf=${classOf} acts=${mayAct.value ? ACTS : undefined} /></div>`
      : html`<${Nothing} hasAny=${all.length > 0} />`}
    ${param("gone") === "1" && html`<${GoneWorkers} words=${param("q").toLowerCase().split(/\s+/).filter(Boolean)} />`}
    ${chosen.length > 0 && html`<${SelectionBar} chosen=${chosen} rows=${rows} select=${select} />`}`;
}

const ACTS = [{keys: "r", does: "Restart the worker", run: (/** @type {any} */ one) => sensible(one).includes("restart") && confirmAction("restart", [one])}];
const keyOf = (/** @type {any} */ one) => one.worker_id;
const hrefOf = (/** @type {any} */ one) => `/workers/${one.worker_id}`;
const classOf = (/** @type {any} */ one) => (one.desired_state === "absent" ? "going" : "");

/** The filters of the URL as one question. @returns {(worker: any) => boolean} */
function covers() {
  const words = param("q").toLowerCase().split(/\s+/).filter(Boolean);
  const [statuses, labels, backends] = [params("status"), params("label"), params("backend")];
  return (one) => {
    if (statuses.length && !statuses.includes(one.status)) return false;
    if (backends.length && !backends.includes(one.deployment_type)) return false;
    if (!labels.every((label) => hasLabel(one, label))) return false;
    const text = `${one.worker_id} ${one.name} ${Object.entries(one.labels).map((pair) => pair.join("="))}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

/** @param {any} worker @param {string} label */
function hasLabel(worker, label) {
  const [key, ...rest] = label.split("=");
  return key in worker.labels && (rest.length === 0 || worker.labels[key] === rest.join("="));
}

function sortOf() {
  const text = param("sort") || "status";
  const by = text.replace(/^-/, "");
  return {by: by in SORTS ? by : "status", down: text.startsWith("-")};
}

/** @param {any[]} rows already by urgency, which decides between equals */
function sorted(rows) {
  const {by, down} = sortOf();
  if (by === "status" && !down) return rows;
  const value = SORTS[by];
  const found = [...rows].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0));
  return down ? found.reverse() : found;
}

/** @param {any[]} all */
function choices(all) {
  const on = params("status");
  return STATUSES.map((value) => ({
    value,
    label: html`<${StatusShape} value=${value} />${value}`,
    count: all.filter((one) => one.status === value).length,
  })).filter((one) => one.count || on.includes(one.value));
}

/** @returns {import("../parts/table.mjs").Column[]} */
function columnsOf() {
  return [
    {id: "worker", label: "Worker", class: "whole head worker-cell", width: 248, sorts: true, cell: (one) => html`<${Name} worker=${one} />`},
    {id: "status", label: "Status", class: "grow half plain", sorts: true, cell: (one) => html`<${Status} value=${one.status} /><${Reason} worker=${one} />`},
    {id: "instances", label: "Instances", class: "half plain", width: 116, cell: (one) => html`<${InstanceStrip} instances=${one.instances} />`},
    {id: "restarts", label: "Restarts", class: "num", width: 84, sorts: true, cell: (one) => (one.restart_count ? count(one.restart_count) : html`<span class="muted">0</span>`)},
    {id: "uptime", label: "Up for", class: "num", width: 100, sorts: true, cell: (one) => html`<${Uptime} worker=${one} />`},
    {id: "cpu", label: "CPU", class: "num", width: 92, sorts: true, cell: (one) => html`<${Figure} worker=${one} of="cpu" />`},
    {id: "memory", label: "Memory", class: "num", width: 98, sorts: true, cell: (one) => html`<${Figure} worker=${one} of="memory" />`},
    {id: "menu", label: "Actions", unnamed: true, class: "menu-cell", width: 52, cell: (one) => html`<${WorkerMenu} worker=${one} />`},
  ];
}

/** @param {{worker: any}} props */
function Name({worker}) {
  const labels = Object.entries(worker.labels);
  return html`<div class="name-cell"><a class="name" href=${hrefOf(worker)}>${worker.worker_id}</a>
    ${(worker.name || labels.length > 0) && html`<div class="name-more">${worker.name && html`<bdi>${oneLine(worker.name, 60)}</bdi>`}
      ${labels.slice(0, 3).map(([key, value]) => html`<a key=${key} class="label" href=${withQuery({label: `${key}=${value}`})}>${visible(key)}=${visible(value)}</a>`)}</div>`}</div>`;
}

/** @param {{worker: any}} props */
function Reason({worker}) {
  const text = shortly(worker);
  const retry = worker.status === "crashed" ? nextRetry(worker) : null;
  if (!text && !retry) return null;
  return html`<div class="reason" title=${oneLine(text)}>${oneLine(text, 120)}${retry && html`<span class="muted">${text ? "; " : ""}again <${Due} at=${retry} /></span>`}</div>`;
}

/** @param {{worker: any}} props */
function Uptime({worker}) {
  const seconds = upFor(worker, now.value);
  return seconds === null ? html`<span class="muted">\u2013</span>` : html`<span>${duration(seconds)}</span>`;
}

/** The figure, and how it was in the last ten minutes. @param {{worker: any, of: "cpu"|"memory"}} props */
function Figure({worker, of}) {
  const figures = figuresOf(worker.worker_id).value;
  const value = of === "cpu" ? percent(worker.cpu_percent) : bytes(worker.memory_bytes);
  const values = figures?.[of] ?? [];
  const most = Math.max(...values.map((one) => one ?? 0), of === "cpu" ? 5 : 1);
  const top = of === "cpu" ? percent(most) : bytes(most);
  return html`<span class="figure">${values.length > 1 && html`<${Spark} values=${values} most=${of === "cpu" ? Math.max(most, 25) : most * 1.5} label=${`Last 10 minutes: at most ${top}`} />`}<span class="figure-value">${value}</span></span>`;
}

/** @param {{hasAny: boolean}} props */
function Nothing({hasAny}) {
  if (hasAny) {
    const none = {q: null, status: null, label: null, backend: null};
    return html`<div class="card"><${Empty} title="No worker matches" actions=${html`<a class="button" href=${withQuery(none)}>Clear filters</a>`}>The filters stand in the address: a link to this page shows the same.<//></div>`;
  }
  return html`<div class="card"><${Empty} title="No workers yet" actions=${html`<a class="button" href="/">How to have one</a>`}>A worker is described by a file of the directory that is served.<//></div>`;
}

/** What can be done with those that are selected. @param {{chosen: any[], rows: any[], select: (next: Set<string>) => void}} props */
function SelectionBar({chosen, rows, select}) {
  const act = (/** @type {any} */ action) => () => confirmAction(action, chosen, () => select(new Set()));
  const others = rows.length - chosen.length;
  return html`<div class="selection-bar" role="region" aria-label="Selection">
    <strong>${count(chosen.length)} selected</strong>
    ${others > 0 && html`<button class="button small plain" onClick=${() => select(new Set(rows.map(keyOf)))}>Select all ${count(rows.length)} that are listed</button>`}
    <span class="bar-actions">
      <button class="button small" onClick=${act("restart")}>Restart</button>
      <button class="button small" onClick=${act("start")}>Start</button>
      <button class="button small" onClick=${act("stop")}>Stop</button>
      <button class="button small plain" onClick=${() => select(new Set())}>Clear</button>
    </span>
  </div>`;
}
