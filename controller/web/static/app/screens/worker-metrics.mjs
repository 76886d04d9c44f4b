// The figures of a worker over time: one chart each, with one cursor, and what happened marked on all of them.
import {html, useMemo, useSignal} from "../html.mjs";
import {asCurl} from "../api.mjs";
import {clock} from "../chart-plot.mjs";
import {KINDS, marksOf, rangeOf, timesOf, useHistory} from "../figure-history.mjs";
import {bytes, count, duration, percent, plural} from "../format.mjs";
import {go, setQuery, withQuery} from "../router.mjs";
import {oneLine, visible} from "../text.mjs";
import {Chart} from "../parts/chart.mjs";
import {AsCommand} from "../parts/copy.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {param, params, toggleParam} from "../parts/filters.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {Card, Facts, useFetched} from "../parts/page.mjs";
import {RangePicker} from "../parts/range.mjs";
import {StateBar} from "../parts/state-bar.mjs";
import {absolute, When} from "../parts/when.mjs";

/** What the controller measures, then what the worker tells. */
const CHARTS = [
  {id: "cpu_percent", title: "CPU", format: percent, least: 5},
  {id: "memory_bytes", title: "Memory", format: bytes, least: 1024 * 1024, isBinary: true},
  {id: "restart_count", title: "Restarts", format: whole, least: 1.2, steps: true},
  {id: "active_tasks", title: "Active tasks", format: whole, least: 1.2, steps: true},
  {id: "assigned_accounts", title: "Assigned accounts", format: whole, least: 1.2, steps: true},
  {id: "error_count", title: "Errors", format: whole, least: 1.2, steps: true},
];
const TOLD = new Set(["active_tasks", "assigned_accounts", "error_count"]);

/** @param {number|null|undefined} value */
function whole(value) {
  return count(value === null || value === undefined ? value : Math.round(value * 10) / 10);
}

/** @param {{id: string, item: any, status: any}} props */
export default function WorkerMetrics({id, item, status}) {
  const range = rangeOf();
  const who = param("of");
  const of = who === "each" ? {by: "instance"} : who ? {instance: who} : {};
  const {data, error, isLoading} = useHistory(id, range, of);
  const spec = useFetched(`/worker-configs/${id}`).data?.spec;
  const at = useSignal(/** @type {number|null} */ (null));
  const all = useMemo(() => marksOf(data?.annotations ?? []), [data]);
  const hidden = params("hide");
  const marks = useMemo(() => all.filter((one) => !hidden.includes(one.kind)), [all, hidden.join()]);
  const span = useMemo(() => (data ? [Date.parse(data.since) / 1000, Date.parse(data.until) / 1000] : [0, 1]), [data]);
  const lines = useMemo(() => linesOf(data), [data]);
  const onZoom = (/** @type {number} */ from, /** @type {number} */ to) =>
    go(withQuery({range: null, from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString()}), {keepScroll: true});
  const shown = CHARTS.filter((chart) => lines[chart.id]?.some((one) => one.values.some((value) => value !== null)));
  const silent = CHARTS.filter((chart) => TOLD.has(chart.id) && !shown.includes(chart)).map((chart) => chart.title.toLowerCase());
  const asked = {query: {worker: id, ...timesOf(range), ...of}};
  return html`<div class=${`metrics ${isLoading ? "is-loading" : ""}`}>
    <div class="metrics-bar"><${RangePicker} range=${range} /><${Whose} instances=${item?.instances ?? []} id=${id} />
      <${Readout} data=${data} at=${at} marks=${marks} /></div>
    ${data && data.times.length > 0 && html`<${StateBar} data=${data} lines=${lines.memory_bytes ?? []} marks=${all} span=${span} />`}
    <${Legend} marks=${all} hidden=${hidden} />
    <${ErrorNotice} error=${error} />
    ${data === null ? !error && html`<${Loading} rows=${6} />` : shown.length
      ? html`<div class="charts">${shown.map((chart) => html`<${Chart} key=${chart.id} chart=${chart} times=${data.times} lines=${lines[chart.id]} marks=${marks}
          limit=${limitOf(chart.id, spec, who, lines[chart.id].length, item)} span=${span} at=${at} onZoom=${onZoom} />`)}</div>`
      : html`<div class="card"><${Empty} title="No figures of this time">Processes are measured every ten seconds while they run.<//></div>`}
    <${Own} status=${status} silent=${data ? silent : []} />
    <${Happened} marks=${all} id=${id} />
    <details class="event-curl"><summary>The same from a terminal</summary><${AsCommand} cli="workerctl top" curl=${asCurl("GET", "/metrics-history", asked)} /></details>
  </div>`;
}

/** By metric: a line for the sum, or for each instance. @param {any} data @returns {Record<string, {label: string, values: any[]}[]>} */
function linesOf(data) {
  /** @type {Record<string, any[]>} */
  const found = {};
  for (const one of data?.series ?? []) (found[one.metric] ??= []).push({label: one.instance ?? one.worker_id, values: one.values});
  return found;
}

/** @param {string} metric @param {any} spec @param {string} who @param {number} lines @param {any} item */
function limitOf(metric, spec, who, lines, item) {
  const {limits, max_accounts: accounts} = spec ?? {};
  /** @type {Record<string, number|null|undefined>} */
  const set = {memory_bytes: limits?.memory_bytes, cpu_percent: limits?.cpu && limits.cpu * 100, assigned_accounts: accounts};
  const one = set[metric];
  if (!one) return null;
  const format = {memory_bytes: bytes, cpu_percent: percent}[metric] ?? count;
  const times = who || lines > 1 ? 1 : Math.max(1, item?.instances.length ?? 1);
  return {value: one * times, text: `limit ${times > 1 ? `${times} \u00d7 ` : ""}${format(one)}`};
}

/** @param {{instances: any[], id: string}} props */
function Whose({instances}) {
  if (instances.length < 2) return null;
  return html`<label class="choose"><span class="unseen">Of which instances</span><select value=${param("of")} onChange=${(/** @type {any} */ event) => setQuery({of: event.target.value})}>
    <option value="">all together</option><option value="each">each instance</option>
    ${instances.map((one) => html`<option key=${one.instance} value=${one.ordinal}>${one.instance}</option>`)}</select></label>`;
}

/** Where the cursor is, and what happened there. @param {{data: any, at: any, marks: any[]}} props */
function Readout({data, at, marks}) {
  if (!data || data.times.length === 0) return null;
  const index = at.value;
  if (index === null || index >= data.times.length) {
    return html`<p class="readout muted">${data.step_s === 10 ? "a value each 10 s" : `a value each ${duration(data.step_s)}`}</p>`;
  }
  const [time, half] = [data.times[index], data.step_s];
  const near = marks.filter((one) => one.at >= time - half / 2 && one.at < time + half).slice(0, 2);
  return html`<p class="readout"><strong>${clock(time, 1)}</strong>${near.map((one) => html` <span key=${one.at + one.kind} class=${`mark-${one.kind}`}><${MarkShape}
    kind=${one.kind} />${oneLine(one.text, 70)}</span>`)}</p>`;
}

/** @type {Record<string, string>} In a box of 10. */
const SHAPES = {
  died: "M5 .5 9.500 9.500H.5Z", gaveup: "M1 1h8v8H1Z", spec: "M5 0 10 5 5 10 0 5Z", asked: "M.5.5h9L5 9.500Z",
  started: "M5 1.700a3.300 3.300 0 1 0 0 6.600 3.300 3.300 0 0 0 0-6.600Z", ended: "M5 1.200a3.800 3.800 0 1 0 0 7.600 3.800 3.800 0 0 0 0-7.600Z",
};

/** @param {{kind: string}} props */
const MarkShape = ({kind}) => html`<svg class=${`mark-shape mark-${kind}`} width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" focusable="false"><path d=${SHAPES[kind]} />
  </svg>`;

/** What the marks mean; each kind can be left out. @param {{marks: any[], hidden: string[]}} props */
function Legend({marks, hidden}) {
  const kinds = Object.keys(KINDS).filter((kind) => marks.some((one) => one.kind === kind));
  if (kinds.length === 0) return null;
  return html`<div class="chart-legend" role="group" aria-label="Marks on the charts">${kinds.map((kind) => html`<button key=${kind} type="button"
    aria-pressed=${!hidden.includes(kind)} onClick=${() => toggleParam("hide", kind)}>
    <${MarkShape} kind=${kind} />${KINDS[kind][0]} <span class="muted">${count(marks.filter((one) => one.kind === kind).length)}</span></button>`)}</div>`;
}

/** What a worker tells of itself beside: there is no history of it. @param {{status: any, silent: string[]}} props */
function Own({status, silent}) {
  const beats = (status?.instances ?? []).filter((/** @type {any} */ one) => one.heartbeat && Object.keys(one.heartbeat.metrics ?? {}).length);
  return html`${beats.length > 0 && html`<${Card} title="Its own figures" aside="as of the last heartbeat; no history is kept of them">
      <div class="stack">${beats.map((/** @type {any} */ one) => html`<div key=${one.instance}><p class="muted own-of">${one.instance}, <${When} at=${one.heartbeat.at} /></p>
        <${Facts} items=${Object.entries(one.heartbeat.metrics).map(([name, value]) => [visible(name), html`<strong>
          ${/** @type {number} */ (value).toLocaleString("en", {maximumFractionDigits: 3})}</strong>`])} /></div>`)}</div><//>`}
    ${silent.length > 0 && html`<p class="muted">No chart of ${silent.join(", ")}: the worker told none in this time. How it can: by heartbeats, as <a href="/docs/processes">processes</a> tells.</p>`}`;
}

/** The marks as a list, for who does not see them. @param {{marks: any[], id: string}} props */
function Happened({marks, id}) {
  if (marks.length === 0) return null;
  return html`<details class="chart-happened"><summary>${plural(marks.length, "mark")} as a list</summary>
    <div class="chart-rows" tabindex="0" role="region" aria-label="Marks as a list"><table><thead><tr><th scope="col">Time</th><th scope="col">What</th><th scope="col">Instance</th>
      <th scope="col">Says</th></tr></thead>
      <tbody>${[...marks].reverse().map((one, index) => html`<tr key=${index}><td><time datetime=${new Date(one.at * 1000).toISOString()}>
        ${absolute(new Date(one.at * 1000).toISOString())}</time></td>
        <td class="nowrap"><${MarkShape} kind=${one.kind} /> ${KINDS[one.kind][0]}</td><td>${one.instance ?? ""}</td><td>${oneLine(one.text, 200)}</td></tr>`)}</tbody></table></div>
    <p><a href=${`/workers/${id}/events`}>all its events</a></p></details>`;
}
