// How one worker is: why and what next in a sentence, its instances, its conditions, where it comes from.
import {html} from "../html.mjs";
import {bytes, count, duration, exitWords, percent} from "../format.mjs";
import {exists} from "../screens.mjs";
import {oneLine, visible} from "../text.mjs";
import {now} from "../time.mjs";
import {Status, Tag} from "../parts/badge.mjs";
import {CopyButton} from "../parts/copy.mjs";
import {Loading} from "../parts/empty.mjs";
import {EventList, useRecent} from "../parts/events.mjs";
import {Notice, where} from "../parts/notice.mjs";
import {Card, Facts} from "../parts/page.mjs";
import {Table} from "../parts/table.mjs";
import {Due, When} from "../parts/when.mjs";
import {Why} from "../parts/why.mjs";

/** @param {{id: string, item: any, status: any}} props */
export default function WorkerOverview({id, item, status}) {
  if (!item) return status === null ? html`<${Loading} />` : null;
  return html`<div class="worker-overview">
    <section class=${`why-box s-${item.status}`} aria-label="Why, and what next"><${Why} status=${status} /></section>
    <${Problems} problems=${item.problems} />
    <${Instances} item=${item} status=${status} />
    <div class="cards">
      <${Conditions} item=${item} />
      <${About} item=${item} status=${status} />
    </div>
    <${Recent} id=${id} />
  </div>`;
}

/** @param {{problems: any[]}} props */
function Problems({problems}) {
  if (problems.length === 0) return null;
  return html`<${Notice} tone="bad" title=${problems.length === 1 ? "A problem in its file: the last good spec goes on" : `${problems.length} problems in its file: the last good spec goes on`}>
    <ul class="faults">${problems.map((one) => html`<li key=${one.message}><code>${where(one)}</code> ${visible(one.message)}${one.hint && html`<div class="hint">${visible(one.hint)}</div>`}</li>`)}</ul><//>`;
}

/** @param {{item: any, status: any}} props */
function Instances({item, status}) {
  const more = new Map((status?.instances ?? []).map((/** @type {any} */ one) => [one.instance, one]));
  const rows = item.instances.map((/** @type {any} */ one) => ({...more.get(one.instance), ...one}));
  const columns = [
    {id: "instance", label: "Instance", class: "head whole nowrap", cell: (/** @type {any} */ one) => html`<span class="name">${one.instance}</span>`},
    {id: "status", label: "Status", class: "nowrap half plain", cell: (/** @type {any} */ one) => html`<${Status} value=${one.status} />${one.ready === false && html` <${Tag} tone="warn">not ready<//>`}`},
    {id: "why", label: "Says", class: "grow whole", cell: says},
    {id: "pid", label: "Pid", class: "num", cell: (/** @type {any} */ one) => one.pid ?? html`<span class="muted">\u2013</span>`},
    {id: "up", label: "Up for", class: "num", cell: (/** @type {any} */ one) => (one.started_at && one.pid ? duration((now.value - Date.parse(one.started_at)) / 1000) : html`<span class="muted">\u2013</span>`)},
    {id: "restarts", label: "Restarts", class: "num", cell: (/** @type {any} */ one) => count(one.restart_count)},
    {id: "exit", label: "Last exit", class: "nowrap half", cell: lastExit},
    {id: "cpu", label: "CPU", class: "num", cell: (/** @type {any} */ one) => percent(one.cpu_percent)},
    {id: "memory", label: "Memory", class: "num", cell: (/** @type {any} */ one) => bytes(one.memory_bytes)},
  ];
  return html`<${Card} title="Instances" aside=${rows.length ? `${rows.filter((/** @type {any} */ one) => one.status === "running").length} of ${rows.length} running` : ""} flush>
    ${rows.length ? html`<${Table} label="Instances" rows=${rows} columns=${columns} keyOf=${(/** @type {any} */ one) => one.instance} />` : html`<p class="muted pad">None: it is not meant to run, and nothing of it does.</p>`}
  <//>`;
}

/** @param {any} one */
function says(one) {
  const text = one.notify_status || (one.status === "running" ? "" : one.message || one.reason);
  return html`<span class="reason">${oneLine(text, 160)}${one.next_retry_at && html`<span class="muted">${text ? "; " : ""}again <${Due} at=${one.next_retry_at} /></span>`}</span>`;
}

/** @param {any} one */
const lastExit = (one) => (one.last_exit
  ? html`${exitWords(one.last_exit)} <span class="muted"><${When} at=${one.last_exit.at} /></span>`
  : html`<span class="muted">never</span>`);

/** What is good when it is true, and what when it is false. */
const GOOD = {Valid: "True", Ready: "True", Progressing: "False", Stalled: "False", Suspended: "False", Drifted: "False", Completed: "True"};

/** @param {{item: any}} props */
function Conditions({item}) {
  return html`<${Card} title="Conditions"><dl class="conditions">${item.conditions.map((/** @type {any} */ one) => html`<div key=${one.type} class=${tone(one)}>
    <dt><span class="condition-mark" aria-hidden="true"></span>${one.type} <span class="condition-value">${one.status}</span></dt>
    <dd>${one.reason && html`<span>${one.reason}</span>`}${one.message && html`<span class="muted"> ${oneLine(one.message)}</span>`}${one.since && html`<span class="muted condition-since"><${When} at=${one.since} bare /></span>`}</dd>
  </div>`)}</dl><//>`;
}

/** @param {any} one */
function tone(one) {
  if (one.status === "Unknown") return "is-odd";
  if (one.status === GOOD[/** @type {"Valid"} */ (one.type)]) return "is-good";
  return one.type === "Valid" || one.type === "Stalled" ? "is-bad" : one.type === "Progressing" ? "is-busy" : "is-warn";
}

/** @param {{item: any, status: any}} props */
function About({item, status}) {
  const file = item.source.file && [item.source.file, item.source.line].filter(Boolean).join(":");
  const depends = Object.entries(item.depends_on);
  const spec = file && html`<code>${visible(file)}</code>`;
  const to = `/workers/${item.worker_id}/spec`;
  return html`<${Card} title="About">
    ${status?.description && html`<p class="description"><bdi>${visible(status.description)}</bdi></p>`}
    <${Facts} items=${[
      ["Asked for", item.desired_state ?? "unknown"],
      ["Spec", spec ? exists(to) ? html`<a href=${to}>${spec}</a>` : spec : "\u2013"],
      ["Revision", item.revision ? html`<code>${item.revision}</code><${CopyButton} text=${item.revision} label="Copy the revision" mark />` : "\u2013"],
      item.source.commit && ["Commit", html`<code>${item.source.commit.slice(0, 10)}</code>`],
      ["Runs on", item.deployment_type ?? "\u2013"],
      depends.length && ["Waits for", depends.map(([name, what]) => html`<a key=${name} href=${`/workers/${name}`}>${name}</a> <span class="muted">${what} </span>`)],
      Object.keys(item.labels).length && ["Labels", html`<span class="row">${Object.entries(item.labels).map(([key, value]) => html`<a key=${key} class="label" href=${`/workers?label=${encodeURIComponent(`${key}=${value}`)}`}>${visible(key)}=${visible(value)}</a>`)}</span>`],
      item.active_tasks !== null && ["Active tasks", count(item.active_tasks)],
      item.last_heartbeat_at && ["Last heartbeat", html`<${When} at=${item.last_heartbeat_at} />`],
    ]} />
  <//>`;
}

/** @param {{id: string}} props */
function Recent({id}) {
  const events = useRecent({workerId: id, most: 8});
  return html`<${Card} title="What happened" aside=${html`<a href=${`/workers/${id}/events`}>all its events</a>`}>
    ${events === null ? html`<${Loading} />` : events.length ? html`<${EventList} events=${events} showsWorker=${false} />` : html`<p class="muted">Nothing yet.</p>`}
  <//>`;
}
