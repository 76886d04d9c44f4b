// The instances of a worker: all of them in a list, and one of them with everything that is known of it. Which one is in
// the URL (`?instance=2`), and stands above the list then; without, it is the one that the worker's state is about, below.
import {html, useMemo} from "../html.mjs";
import {useInstanceFigures} from "../instance-figures.mjs";
import {bytes, count, duration, exitWords, percent, plural} from "../format.mjs";
import {setQuery, withQuery} from "../router.mjs";
import {spaced, STATUSES, worst} from "../status.mjs";
import {oneLine} from "../text.mjs";
import {now} from "../time.mjs";
import {Status, StatusShape, Tag} from "../parts/badge.mjs";
import {Empty} from "../parts/empty.mjs";
import {ActiveFilters, FilterChoices, param, params} from "../parts/filters.mjs";
import {InstanceDetail} from "../parts/instance-detail.mjs";
import {Card} from "../parts/page.mjs";
import {Spark} from "../parts/spark.mjs";
import {Table} from "../parts/table.mjs";
import {Due, When} from "../parts/when.mjs";

/** From so many on there are filters. */
const MANY = 6;
const DASH = html`<span class="muted">\u2013</span>`;

/** @type {Record<string, (one: any) => any>} What a column is sorted by. */
const SORTS = {
  instance: (one) => one.ordinal,
  status: (one) => STATUSES.indexOf(one.status),
  uptime: (one) => (one.pid && one.started_at ? Date.parse(one.started_at) : Infinity),
  restarts: (one) => -one.restart_count,
  cpu: (one) => -(one.cpu_percent ?? -1),
  memory: (one) => -(one.memory_bytes ?? -1),
};

/** @param {{id: string, item: any, status: any}} props */
export default function WorkerInstances({id, item, status}) {
  const figures = useInstanceFigures(id, Boolean(item?.instances.length));
  const all = useMemo(() => together(item, status), [item, status]);
  if (!item) return html`<div class="card"><${Gone} id=${id} /></div>`;
  if (all.length === 0) return html`<div class="card"><${None} item=${item} /></div>`;
  const on = params("status");
  const rows = sorted(all.filter((one) => on.length === 0 || on.includes(one.status)));
  const asked = all.find((one) => String(one.ordinal) === param("instance"));
  const chosen = asked ?? worst({instances: all});
  const sort = sortOf();
  const onSort = (/** @type {string} */ by) => setQuery({sort: by === sort.by && !sort.down ? `-${by}` : by === "instance" ? null : by});
  const scale = scaleOf(figures);
  const detail = html`<${InstanceDetail} key=${chosen.instance} id=${id} item=${item} one=${chosen} figures=${figures.get(chosen.instance)} scale=${scale} isOnly=${all.length === 1} />`;
  return html`<div class="instances">
    ${asked && detail}
    ${all.length >= MANY && html`<div><div class="filters"><${FilterChoices} name="status" label="Status" options=${choices(all)} /></div>
      ${on.length > 0 && html`<${ActiveFilters} names=${["status"]}>${count(rows.length)} of ${plural(all.length, "instance")}<//>`}</div>`}
    ${all.length > 1 && html`<${Card} title="Instances" aside=${summary(item, all)} flush>${rows.length
      ? html`<${Table} label="Instances" rows=${rows} columns=${columnsOf(item, figures, scale)} keyOf=${keyOf} hrefOf=${hrefOf} sort=${sort} onSort=${onSort}
          classOf=${(/** @type {any} */ one) => (one === chosen ? "chosen" : "")} />`
      : html`<${Empty} title="No instance matches" actions=${html`<a class="button" href=${withQuery({status: null})}>Clear filters</a>`} />`}<//>`}
    ${!asked && detail}
  </div>`;
}

const keyOf = (/** @type {any} */ one) => one.instance;
const hrefOf = (/** @type {any} */ one) => withQuery({instance: one.ordinal});

/** The list's items, which are the newest, with what only a status has. @param {any} item @param {any} status @returns {any[]} */
function together(item, status) {
  const more = new Map((status?.instances ?? []).map((/** @type {any} */ one) => [one.instance, one]));
  return (item?.instances ?? []).map((/** @type {any} */ one) => {
    const known = more.get(one.instance);
    return known && known.run === one.run ? {...known, ...one} : one;
  });
}

function sortOf() {
  const text = param("sort") || "instance";
  const by = text.replace(/^-/, "");
  return {by: by in SORTS ? by : "instance", down: text.startsWith("-")};
}

/** @param {any[]} rows */
function sorted(rows) {
  const {by, down} = sortOf();
  const value = SORTS[by];
  const found = [...rows].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.ordinal - b.ordinal));
  return down ? found.reverse() : found;
}

/** @param {any[]} all */
function choices(all) {
  return STATUSES.map((value) => ({
    value, label: html`<${StatusShape} value=${value} />${value}`, count: all.filter((one) => one.status === value).length,
  })).filter((one) => one.count || params("status").includes(one.value));
}

/** @param {any} item @param {any[]} all */
function summary(item, all) {
  const up = all.filter((one) => one.status === "running").length;
  const wanted = item.desired_replicas;
  return `${up} of ${count(all.length)} running${wanted !== all.length ? `; ${wanted} ${wanted === 1 ? "is" : "are"} wanted` : ""}`;
}

/** One scale for all, so that they can be compared. @param {Map<string, any>} figures */
function scaleOf(figures) {
  const all = [...figures.values()];
  const most = (/** @type {"cpu"|"memory"} */ of) => Math.max(0, ...all.flatMap((one) => one[of].map((/** @type {any} */ value) => value ?? 0)));
  return {cpu: Math.max(25, most("cpu")), memory: most("memory") * 1.5};
}

/** @param {any} item @param {Map<string, any>} figures @param {{cpu: number, memory: number}} scale */
function columnsOf(item, figures, scale) {
  const told = item.instances.some((/** @type {any} */ one) => one.last_heartbeat_at);
  return [
    {id: "instance", label: "Instance", class: "head whole nowrap", sorts: true, cell: (/** @type {any} */ one) => html`<a class="name" href=${hrefOf(one)}>${one.instance}</a>`},
    {id: "status", label: "Status", class: "grow whole plain", sorts: true, cell: (/** @type {any} */ one) => html`<${Status} value=${one.status} /><${Behind} item=${item} one=${one} />${
      one.ready === false && html` <${Tag} tone="warn">not ready<//>`}<${Says} one=${one} />`},
    {id: "pid", label: "Pid", class: "num", cell: (/** @type {any} */ one) => one.pid ?? DASH},
    {id: "uptime", label: "Up for", class: "num", sorts: true, cell: (/** @type {any} */ one) => html`<${UpFor} one=${one} />`},
    {id: "restarts", label: "Restarts", class: "num", sorts: true, cell: (/** @type {any} */ one) => (one.restart_count ? count(one.restart_count) : html`<span class="muted">0</span>`)},
    {id: "exit", label: "Last exit", class: "nowrap half", cell: (/** @type {any} */ one) => (one.last_exit
      ? html`${exitWords(one.last_exit)} <span class="muted"><${When} at=${one.last_exit.at} bare /></span>` : html`<span class="muted">never</span>`)},
    ...(told ? [{id: "told", label: "Heartbeat", class: "nowrap half", cell: (/** @type {any} */ one) => html`<${Told} one=${one} />`}] : []),
    {id: "cpu", label: "CPU", class: "num", sorts: true, cell: (/** @type {any} */ one) => html`
      <${Figure} values=${figures.get(one.instance)?.cpu} most=${scale.cpu} text=${percent(one.cpu_percent)} as=${percent} />`},
    {id: "memory", label: "Memory", class: "num", sorts: true, cell: (/** @type {any} */ one) => html`
      <${Figure} values=${figures.get(one.instance)?.memory} most=${scale.memory} text=${bytes(one.memory_bytes)} as=${bytes} />`},
    {id: "log", label: "Log", unnamed: true, class: "nowrap plain log-cell", cell: (/** @type {any} */ one) => html`
      <a class="button small" href=${`/workers/${item.worker_id}/logs?instance=${one.ordinal}${one.run ? `&run=${one.run}` : ""}`}
      aria-label=${`Log of ${one.instance}`}>Log</a>`},
  ];
}

/** @param {{item: any, one: any}} props */
function Behind({item, one}) {
  if (!item.revision || !one.pid || !one.revision || one.revision === item.revision) return null;
  return html` <${Tag} tone="busy" title=${`It runs revision ${one.revision}, its spec is at ${item.revision}.`}>older spec<//>`;
}

/** @param {{one: any}} props */
function Says({one}) {
  const text = one.notify_status || (one.status === "running" ? "" : one.message || spaced(one.reason));
  if (!text && !one.next_retry_at) return null;
  return html`<div class="reason">${oneLine(text, 140)}${one.next_retry_at && html`<span class="muted">${text ? "; " : ""}again <${Due} at=${one.next_retry_at} /></span>`}</div>`;
}

/** @param {{one: any}} props */
export function UpFor({one}) {
  if (!one.pid || !one.started_at) return DASH;
  return html`<span>${duration((now.value - Date.parse(one.started_at)) / 1000)}</span>`;
}

/** @param {{one: any}} props */
function Told({one}) {
  if (!one.last_heartbeat_at) return html`<span class="muted">none</span>`;
  const tasks = one.active_tasks === null ? "" : `, ${plural(one.active_tasks, "task")}`;
  return html`<${When} at=${one.last_heartbeat_at} />${tasks && html`<span class="muted">${tasks}</span>`}`;
}

/** @param {{values?: (number|null)[], most: number, text: string, as: (value: number) => string}} props */
export function Figure({values, most, text, as}) {
  const top = Math.max(0, ...(values ?? []).map((one) => one ?? 0));
  return html`<span class="figure">
    ${values && values.length > 1 && html`<${Spark} values=${values} most=${most} label=${`Last 10 minutes: at most ${as(top)}`} />`}<span class="figure-value">${text}</span></span>`;
}

/** @param {{item: any}} props */
function None({item}) {
  const replicas = item.desired_state === "running";
  return html`<${Empty} title="No instance" actions=${html`<a class="button" href=${`/workers/${item.worker_id}`}>Why</a>`}>${replicas
    ? "Its spec asks for none: `replicas` is 0, or it waits for something."
    : "It is not meant to run, and nothing of it does. Once it is started, each of its processes has a row here."}<//>`;
}

/** @param {{id: string}} props */
function Gone({id}) {
  return html`<${Empty} title="Nothing of it runs" actions=${html`<a class="button" href=${`/workers/${id}/logs`}>Its log</a><a class="button" href=${`/workers/${id}/events`}>Its events</a>`}>
    There is no spec of this name, and no process. What its runs printed and how they ended is kept for a while.<//>`;
}
