// The fleet at a glance: who needs somebody and why, then how many are how, then what just happened.
import {html, useMemo} from "../html.mjs";
import {bytes, count, percent, plural} from "../format.mjs";
import {byUrgency, failing, plan, workerOf} from "../store.mjs";
import {STATUSES} from "../status.mjs";
import {oneLine} from "../text.mjs";
import {exists} from "../screens.mjs";
import {mayAct} from "../session.mjs";
import {Status, StatusShape} from "../parts/badge.mjs";
import {Snippet} from "../parts/copy.mjs";
import {EventList, useRecent} from "../parts/events.mjs";
import {Loading} from "../parts/empty.mjs";
import {ActionButtons} from "../parts/menu.mjs";
import {Faults} from "../parts/notice.mjs";
import {Card, PageHead, useFetched} from "../parts/page.mjs";
import {useStatus, Why} from "../parts/why.mjs";

const MOST_SHOWN = 8;

export default function Overview() {
  const all = byUrgency.value;
  if (all.length === 0) return html`<${FirstRun} />`;
  const bad = failing.value;
  return html`<${PageHead} title=${headline(all.length, bad.length)}>${plural(totals(all).instances, "instance")} on this controller.<//>
    <div class="overview">
      <${Fleet} all=${all} />
      ${bad.length > 0 && html`<${Card} title="Needs attention" aside=${bad.length > MOST_SHOWN && html`<a href="/workers">all ${bad.length}</a>`} flush>
        <ul class="needy">${bad.slice(0, MOST_SHOWN).map((one) => html`<${Needy} key=${one.worker_id} id=${one.worker_id} />`)}</ul>
      <//>`}
      <${Torn} />
      <${Held} />
      <${Recent} />
    </div>`;
}

/** @param {number} all @param {number} bad */
function headline(all, bad) {
  if (bad === 0) return all === 1 ? "The one worker is well" : `All ${count(all)} workers are well`;
  return `${count(bad)} of ${plural(all, "worker")} ${bad === 1 ? "needs" : "need"} attention`;
}

/** @param {any[]} all */
function totals(all) {
  const sum = (/** @type {string} */ name) => {
    const known = all.map((one) => one[name]).filter((value) => value !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) : null;
  };
  const instances = all.flatMap((one) => one.instances);
  return {
    instances: instances.length,
    up: instances.filter((one) => one.status === "running").length,
    cpu: sum("cpu_percent"),
    memory: sum("memory_bytes"),
    restarts: sum("restart_count"),
  };
}

/** How many are how: a bar in proportion, and each share as a link to those it counts. @param {{all: any[]}} props */
function Fleet({all}) {
  const counts = STATUSES.map((status) => ({status, number: all.filter((one) => one.status === status).length})).filter((one) => one.number);
  const sums = totals(all);
  return html`<section class="fleet" aria-label="The fleet">
    <div class="proportions" aria-hidden="true">${counts.map(({status, number}) => html`<span key=${status} class=${`s-${status}`} style=${{flexGrow: number}}></span>`)}</div>
    <ul class="shares">${counts.map(({status, number}) => html`<li key=${status}><a href=${`/workers?status=${status}`} class=${`s-${status}`}>
      <span class="share-number">${count(number)}</span><span class="share-word"><${StatusShape} value=${status} />${status}</span></a></li>`)}</ul>
    <dl class="figures">
      <div><dt>Instances up</dt><dd>${sums.up}<small> of ${sums.instances}</small></dd></div>
      <div><dt>CPU</dt><dd>${percent(sums.cpu)}</dd></div>
      <div><dt>Memory</dt><dd>${bytes(sums.memory)}</dd></div>
      <div><dt>Restarts</dt><dd>${count(sums.restarts)}</dd></div>
    </dl>
  </section>`;
}

/** @param {{id: string}} props */
function Needy({id}) {
  const item = useMemo(() => workerOf(id), [id]).value;
  const {data} = useStatus(id, item);
  if (!item) return null;
  return html`<li class="needy-one">
    <div class="needy-head"><${Status} value=${item.status} /><a class="needy-name" href=${`/workers/${id}`}>${id}</a>${item.name && html`<span class="muted">${oneLine(item.name, 80)}</span>`}</div>
    <${Why} status=${data} />
    <div class="needy-actions"><a class="button plain" href=${`/workers/${id}/logs`}>Logs</a><${ActionButtons} worker=${item} /></div>
  </li>`;
}

/** Files of which nobody can tell whose they are: no worker shows them. */
function Torn() {
  const {data} = useFetched("/worker-configs/stats/summary", {}, [plan.value]);
  const torn = data?.file_problems ?? [];
  if (torn.length === 0) return null;
  return html`<${Card} title="Spec files that cannot be read" aside=${html`<a href="/configuration">all specs</a>`}><${Faults} problems=${torn} /><//>`;
}

/** What waits for a word: changes that a guard or a fault holds back. */
function Held() {
  const holds = (plan.value?.holds ?? []).filter((/** @type {any} */ one) => one.confirm);
  if (holds.length === 0) return null;
  return html`<${Card} title="Waits for a confirmation" aside=${html`<a href="/plan">the plan</a>`}>
    <ul class="stack">${holds.map((/** @type {any} */ one) => html`<li key=${one.confirm}><strong>${one.worker_id ?? "All"}</strong> ${oneLine(one.message)}</li>`)}</ul>
  <//>`;
}

function Recent() {
  const events = useRecent({most: 12});
  return html`<${Card} title="What happened" aside=${html`<a href="/events">all events</a>`}>
    ${events === null ? html`<${Loading} />` : events.length ? html`<${EventList} events=${events} />` : html`<p class="muted">Nothing yet.</p>`}
  <//>`;
}

const FIRST = `worker_id: hello
command: while :; do date; sleep 5; done
`;

/** No worker yet: how to have one in a minute. */
function FirstRun() {
  return html`<${PageHead} title="No workers yet" actions=${mayAct.value && exists("/configuration/new") && html`<a class="button primary" href="/configuration/new">New worker</a>`}>A worker is a process that is kept running as a file says. Write the file, and it runs a second later.<//>
    <${Torn} />
    <ol class="steps">
      <li><h2>Write a file</h2><p>Save this as <code>hello.yaml</code> in the directory that <code>workerctl serve</code> was started with.</p><${Snippet} name="hello.yaml" text=${FIRST} /></li>
      <li><h2>See it run</h2><p>It appears here by itself. Or ask the command line.</p><${Snippet} name="Ask" text="workerctl get" /></li>
      <li><h2>Change it</h2><p>Edit the file: the change is planned, shown with its cause, and done. Whatever crashes is started again.</p><${Snippet} name="Its log" text="workerctl logs hello -f" /></li>
    </ol>
    ${mayAct.value && html`<p class="muted">Without touching files: ${exists("/configuration/new") && html`<a href="/configuration/new">write a spec here</a>, or `}<code>POST /api/v1/worker-configs</code>.</p>`}`;
}
