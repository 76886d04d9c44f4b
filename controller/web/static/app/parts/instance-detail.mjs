// One instance with everything that is known of it: how it is and why, its run, its health, what it tells, what it used;
// and the runs that it had before, each with how it ended and its last lines.
import {html, useEffect, useMemo, useState} from "../html.mjs";
import {asCurl, get} from "../api.mjs";
import {RUN_EVENTS, runsOf} from "../instance-figures.mjs";
import {bytes, count, duration, exitWords, percent, plural} from "../format.mjs";
import {spaced} from "../status.mjs";
import {happened} from "../store.mjs";
import {oneLine, visible} from "../text.mjs";
import {now} from "../time.mjs";
import {Status, Tag} from "./badge.mjs";
import {AsCommand, CopyButton} from "./copy.mjs";
import {Loading} from "./empty.mjs";
import {ErrorNotice} from "./notice.mjs";
import {Card, Facts, useFetched} from "./page.mjs";
import {Spark} from "./spark.mjs";
import {Due, When} from "./when.mjs";
import {sentence, withCode} from "./why.mjs";

const FIRST = 6;

/** @param {{id: string, item: any, one: any, figures: any, scale: any, isOnly: boolean}} props */
export function InstanceDetail({id, item, one, figures, scale, isOnly}) {
  const logs = `/workers/${id}/logs?instance=${one.ordinal}`;
  const links = html`<span class="instance-links">
    ${one.run && html`<a href=${`${logs}&run=${one.run}`}>Log of this run</a>`}
    <a href=${logs}>All its lines</a>
    <a href=${`/workers/${id}/metrics${isOnly ? "" : `?of=${one.ordinal}`}`}>Charts</a></span>`;
  return html`<section class="instance-detail" aria-label=${`Instance ${one.instance}`}>
    <${Card} title=${html`<span class="instance-title">${one.instance} <${Status} value=${one.status} /></span>`} aside=${links}>
      <${Why} one=${one} />
      <div class="instance-facts">
        <${Facts} items=${runFacts(item, one)} />
        <${Facts} items=${healthFacts(one)} />
        <div class="instance-uses"><${Use} label="CPU" isUp=${one.pid !== null} text=${percent(one.cpu_percent)} values=${figures?.cpu} most=${scale.cpu} as=${percent} />
          <${Use} label="Memory" isUp=${one.pid !== null} text=${bytes(one.memory_bytes)} values=${figures?.memory} most=${scale.memory} as=${bytes} /></div>
      </div>
      <details class="as-cli"><summary>The same from a terminal</summary>
        <${AsCommand} cli=${`workerctl describe ${id}\nworkerctl logs ${id} --instance ${one.ordinal}${one.run ? " --run current" : ""} --follow`}
          curl=${asCurl("GET", `/workers/${id}/status`)} /></details>
    <//>
    <${Runs} id=${id} one=${one} />
  </section>`;
}

/** @param {{one: any}} props */
function Why({one}) {
  const told = one.status === "running" ? "" : one.message || spaced(one.reason);
  const text = told.toLowerCase() === one.status ? "" : told;
  if (!text && !one.notify_status && !one.next_retry_at) return null;
  return html`<div class=${`instance-why s-${one.status}`}>
    ${text && html`<p>${withCode(sentence(oneLine(text, 600)))}</p>`}
    ${one.notify_status && html`<p>It says: <q>${oneLine(one.notify_status)}</q></p>`}
    ${one.next_retry_at && html`<p><span class="next-word">Next</span> tried again <${Due} at=${one.next_retry_at} />.</p>`}</div>`;
}

/** @param {any} item @param {any} one @returns {any[]} */
function runFacts(item, one) {
  const isBehind = item.revision && one.revision && one.pid && one.revision !== item.revision;
  return [
    ["Pid", one.pid ?? html`<span class="muted">none</span>`],
    ["Run", one.run ? html`<code title=${one.run}>${one.run.slice(0, 8)}</code><${CopyButton} text=${one.run} label="Copy the id of the run" mark />
      ${one.run_number > 0 && html`<span class="muted"> its ${ordinal(one.run_number)}</span>`}` : one.last_exit ? "none now" : "none yet"],
    one.pid && one.started_at && ["Up for", html`<${Up} at=${one.started_at} /> <span class="muted">since <${At} at=${one.started_at} /></span>`],
    !one.pid && one.since && ["So since", html`<${When} at=${one.since} />`],
    ["Restarts", count(one.restart_count)],
    ["Last exit", one.last_exit ? html`${exitWords(one.last_exit)}${causeOf(one.last_exit)} <span class="muted"><${When} at=${one.last_exit.at} /></span>` : html`<span class="muted">never</span>`],
    ["Revision", one.revision ? html`<code>${one.revision}</code>${isBehind && html` <${Tag} tone="busy">older spec<//>`}` : "\u2013"],
    ["Host", one.host],
  ];
}

/** @param {any} one @returns {any[]} */
function healthFacts(one) {
  const beat = one.heartbeat;
  return [
    ["Ready", one.ready === true ? "yes" : one.ready === false ? html`<${Tag} tone="warn">no<//>` : html`<span class="muted" title="It has no readiness probe, and told none">nothing says so</span>`],
    ["Heartbeat", one.last_heartbeat_at ? html`<${When} at=${one.last_heartbeat_at} />
      ${beat?.due_at && html` <span class="muted">next one due <${Due} at=${beat.due_at} /></span>`}` : html`<span class="muted">none from this run</span>`],
    one.active_tasks !== null && ["Active tasks", count(one.active_tasks)],
    one.assigned_accounts !== null && ["Assigned accounts", count(one.assigned_accounts)],
    one.error_count !== null && ["Errors it told", count(one.error_count)],
    beat?.status && ["It tells", oneLine(beat.status, 120)],
    ...Object.entries(beat?.metrics ?? {}).slice(0, 6).map(([name, value]) => [visible(name), visible(String(value))]),
    one.cpu_seconds !== null && one.cpu_seconds !== undefined && ["CPU since its start", duration(one.cpu_seconds)],
  ];
}

/** @param {any} exit */
const causeOf = (exit) => (["exited", "signaled"].includes(exit.cause) ? "" : `, ${exit.cause.replaceAll("_", " ")}`);

/** @param {number} number */
const ordinal = (number) => `${count(number)}${number % 100 > 10 && number % 100 < 14 ? "th" : ({1: "st", 2: "nd", 3: "rd"}[number % 10] ?? "th")}`;

/** @param {{at: string}} props */
const Up = ({at}) => html`<span>${duration((now.value - Date.parse(at)) / 1000)}</span>`;

/** @param {{at: string}} props */
const At = ({at}) => html`<time datetime=${at}>${new Date(at).toLocaleString("en-GB", {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"})}</time>`;

/** @param {{label: string, isUp: boolean, text: string, values?: (number|null)[], most: number, as: (value: number) => string}} props */
function Use({label, isUp, text, values, most, as}) {
  const top = Math.max(0, ...(values ?? []).map((one) => one ?? 0));
  return html`<div class="use"><span class="use-label">${label}</span><strong>${text}</strong>${values && values.length > 1
    ? html`<${Spark} values=${values} most=${most} label=${`${label}, the last 10 minutes: at most ${as(top)}`} /><span class="muted">at most ${as(top)} in 10 min</span>`
    : html`<span class="muted">${isUp ? "measured every 10 s" : "nothing runs"}</span>`}</div>`;
}

/** @param {{id: string, one: any}} props */
function Runs({id, one}) {
  const turn = happened.value.filter((event) => event.instance === one.instance && RUN_EVENTS.includes(event.type)).length;
  const {data, error, again} = useFetched("/events", {worker_id: id, type: RUN_EVENTS, limit: 1000}, [turn]);
  const [shown, show] = useState(FIRST);
  const runs = useMemo(() => (data ? runsOf(data.items, one.instance).filter((run) => run.run !== one.run || run.ended) : null), [data, one.instance, one.run]);
  return html`<${Card} title="Past runs" aside=${runs?.length ? `${count(runs.length)} ${runs.length === 1 ? "is" : "are"} remembered` : ""}>
    <${ErrorNotice} error=${error} retry=${again} />
    ${runs === null ? !error && html`<${Loading} />` : runs.length ? html`
      <ol class="runs">${runs.slice(0, shown).map((run) => html`<${PastRun} key=${run.run} id=${id} one=${one} run=${run} />`)}</ol>
      ${runs.length > shown && html`<button class="button small" onClick=${() => show(shown + 50)}>Show ${plural(Math.min(50, runs.length - shown), "older run")}</button>`}`
      : html`<p class="muted">${one.run ? "This is its first run that is remembered." : "It has not run yet."}
        When a run ends, it stands here: how, after how long, and the last lines that it printed.</p>`}
  <//>`;
}

/** @param {{id: string, one: any, run: import("../instance-figures.mjs").Run}} props */
function PastRun({id, one, run}) {
  const [isOpen, setOpen] = useState(false);
  const href = `/workers/${id}/logs?instance=${one.ordinal}&run=${run.run}`;
  return html`<li class=${`run ${run.isBad ? "is-bad" : ""}`}>
    <span class="run-mark" aria-hidden="true"></span>
    <div class="run-text"><p><strong>${sentence(oneLine(run.how || "its end is not known", 200)).replace(/\.$/, "")}</strong>
      ${run.cause && !["exited", "signaled"].includes(run.cause) && html` <span class="muted">${run.cause === "stopped" ? "as it was asked to" : run.cause.replaceAll("_", " ")}</span>`}</p>
      ${run.gaveUp && html`<p class="run-gave-up">${sentence(oneLine(run.gaveUp, 200))}</p>`}
      <p class="run-links"><button type="button" class="as-link" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${isOpen ? "Hide its last lines" : "Its last lines"}</button>
        <a href=${href}>Its whole log</a></p>
      ${isOpen && html`<${LastLines} id=${id} run=${run.run} ordinal=${one.ordinal} />`}</div>
    <span class="event-when">${run.ended ? html`<${When} at=${run.ended} />` : run.began && html`<${When} at=${run.began} />`}</span>
  </li>`;
}

/** @param {{id: string, run: string, ordinal: number}} props */
function LastLines({id, run, ordinal: number}) {
  const [told, setTold] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const control = new AbortController();
    get(`/workers/${id}/logs`, {run, instance: number, tail: 10}, {signal: control.signal})
      .then((page) => setTold({lines: page.items}), (error) => control.signal.aborted || setTold({error}));
    return () => control.abort();
  }, [id, run]);
  if (told === null) return html`<p class="muted">\u2026</p>`;
  if (told.error) return html`<${ErrorNotice} error=${told.error} />`;
  if (told.lines.length === 0) return html`<p class="muted">It printed nothing that is kept.</p>`;
  return html`<pre class="last-lines" tabindex="0" aria-label="Its last lines">${told.lines.map((/** @type {any} */ line) => html`<a key=${line.id} class=${line.stream === "stderr" ? "is-stderr" : ""}
    href=${`/workers/${id}/logs?run=${run}&at=${line.id}`} title="See it in its log">${visible(line.text) || " "}</a>${"\n"}`)}</pre>`;
}
