// The plan: what the controller would do now, what it holds back and why and until when, field by field. Mostly it is
// empty, for what can be done is done at once: then it says what comes next, and what was done last.
import {html, useState} from "../html.mjs";
import {asCurl, send} from "../api.mjs";
import {plural} from "../format.mjs";
import {useFetched, Card, PageHead} from "../parts/page.mjs";
import {mayAct} from "../session.mjs";
import {condition, isSuspended, nextRetry, shortly, spaced} from "../status.mjs";
import {byUrgency, happened, plan} from "../store.mjs";
import {visible} from "../text.mjs";
import {ActiveFilters, FilterText, param} from "../parts/filters.mjs";
import {Tag} from "../parts/badge.mjs";
import {confirmHold} from "../parts/confirm-hold.mjs";
import {AsCommand} from "../parts/copy.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {byTime, EventList} from "../parts/events.mjs";
import {FieldChanges} from "../parts/field-changes.mjs";
import {Notice, toast, toastError} from "../parts/notice.mjs";
import {Due} from "../parts/when.mjs";
import {sentence, withCode} from "../parts/why.mjs";
import {setQuery} from "../router.mjs";

/** What each action is, in words. @type {Record<string, [string, string]>} */
const ACTIONS = {
  create: ["create", "good"], start: ["start", "good"], stop: ["stop", "warn"], replace: ["replace", "warn"],
  update: ["update in place", ""], restart: ["restart", "warn"], remove: ["remove", "bad"],
};

/** This page, and "Look now". */
const COMMANDS = {cli: "workerctl plan\nworkerctl reconcile", curl: `${asCurl("GET", "/plan")}\n${asCurl("POST", "/reconcile")}`};

export default function PlanScreen() {
  const told = plan.value;
  const groups = told ? grouped(told) : [];
  const shown = groups.filter((one) => (one.id ?? "").includes(param("q").trim().toLowerCase()));
  const ahead = notSettled(new Set(groups.map((one) => one.id)));
  const guards = told ? byDigest(told.holds) : [];
  return html`<${PageHead} title="Plan" actions=${mayAct.value && html`<${LookNow} />`}>
      What the controller would do now, and what it holds back and why. It looks by itself whenever something changes.<//>
    ${told === null ? html`<${Loading} />` : html`<div class="stack plan">
      <${Summary} told=${told} />
      ${guards.map((holds) => html`<${Guard} key=${holds[0].confirm} holds=${holds} />`)}
      ${groups.length > 0 && html`<div>
        <div class="filters"><${FilterText} label="Filter the plan" placeholder="Worker" /><${Density} /></div>
        <${ActiveFilters} names=${["q"]}>${shown.length < groups.length && `${shown.length} of ${plural(groups.length, "worker")}`}<//>
        <div class="stack">${shown.map((one) => html`<${Group} key=${one.id ?? ""} group=${one} />`)}</div></div>`}
      ${groups.length === 0 && html`<div class="card"><${Empty} title=${ahead.length ? "Nothing is to be changed" : "Everything is as the specs ask"}>
        A change of a spec appears here for as long as it is under way, or waits. Mostly that is less than a second.<//></div>`}
      <${Ahead} rows=${ahead} />
      <${Done} />
      <${AsCommand} cli=${COMMANDS.cli} curl=${COMMANDS.curl} />
    </div>`}`;
}

/** @param {{told: any}} props */
function Summary({told}) {
  const {actions, holds, next_wake: next} = told;
  if (!actions.length && !holds.length && !next) return null;
  return html`<p class="plan-summary">${actions.length ? html`<strong>${plural(actions.length, "change")}</strong> now` : "Nothing to do now"}, ${holds.length ? html`<strong>
    ${holds.length}</strong> held back` : "nothing held back"}.
    ${next && html` Looks again <${Due} at=${next} />, or as soon as something changes.`}</p>`;
}

/** @typedef {{id: string|null, actions: any[], holds: any[]}} GroupOf */

/** By worker; what concerns all comes first. @param {any} told @returns {GroupOf[]} */
function grouped(told) {
  /** @type {Map<string|null, GroupOf>} */
  const groups = new Map();
  const of = (/** @type {string|null} */ id) => {
    if (!groups.has(id)) groups.set(id, {id, actions: [], holds: []});
    return /** @type {GroupOf} */ (groups.get(id));
  };
  for (const one of told.actions) of(one.worker_id).actions.push(one);
  for (const one of told.holds) of(one.worker_id).holds.push(one);
  return [...groups.values()].sort((a, b) => ((a.id ?? "") < (b.id ?? "") ? -1 : 1));
}

/** @param {any[]} holds @returns {any[][]} those that one digest confirms */
function byDigest(holds) {
  const groups = new Map();
  for (const one of holds.filter((each) => each.confirm)) groups.set(one.confirm, [...(groups.get(one.confirm) ?? []), one]);
  return [...groups.values()];
}

/** @param {{holds: any[]}} props */
function Guard({holds}) {
  const names = new Set(holds.map((one) => one.worker_id).filter(Boolean));
  return html`<${Notice} tone="warn" title=${names.size ? `${plural(names.size, "worker")} ${names.size === 1 ? "waits" : "wait"} for your word` : "This waits for your word"}
    actions=${mayAct.value ? html`<button class="button primary" onClick=${() => confirmHold(holds)}>Confirm\u2026</button>` : html`<span class="muted">an operator can confirm it</span>`}>
    ${withCode(sentence(holds[0].message))}<//>`;
}

function Density() {
  return html`<div class="segments" role="group" aria-label="How much is shown">
    <button aria-pressed=${param("view") === ""} onClick=${() => setQuery({view: null})}>Every field</button>
    <button aria-pressed=${param("view") === "short"} onClick=${() => setQuery({view: "short"})}>In short</button></div>`;
}

/** @param {{group: GroupOf}} props */
function Group({group}) {
  const isShort = param("view") === "short";
  const entries = [...merged(group.actions), ...group.holds.map((one) => ({...one, instances: []}))];
  return html`<section class="card plan-group"><header class="card-head"><h2>${group.id ? html`<a href=${`/workers/${group.id}`}>${group.id}</a>` : "All of them"}</h2></header>
    <ul>${entries.map((one, index) => html`<li key=${index} class="plan-entry">
      <p class="plan-what">${one.action ? html`<${Tag} tone=${ACTIONS[one.action]?.[1]}>${ACTIONS[one.action]?.[0] ?? one.action}<//>` : html`<${Tag}
        tone="held">held: ${spaced(one.reason)}<//>`}
        ${one.instances.length > 0 && html`<span class="plan-where">${one.instances.join(", ")}</span>`}
        ${!one.confirm && html`<span>${withCode(visible(one.cause ?? one.message))}</span>`}${one.until && html`<span class="muted"> until <${Due} at=${one.until} /></span>`}</p>
      ${!isShort && html`<${FieldChanges} fields=${one.fields} />`}
      ${isShort && one.fields.length > 0 && html`<p class="muted">${one.fields.map((/** @type {any} */ field) => visible(field.path)).join(", ")}</p>`}
    </li>`)}</ul></section>`;
}

/** The same of several instances told once. @param {any[]} actions */
function merged(actions) {
  const groups = new Map();
  for (const one of actions) {
    const key = JSON.stringify([one.action, one.cause, one.fields]);
    if (!groups.has(key)) groups.set(key, {...one, instances: []});
    if (one.instance) groups.get(key).instances.push(one.instance);
  }
  return [...groups.values()];
}

/** What is not as its spec asks, and no plan changes: tries to come, what was said for a while, who waits for a person.
 * @param {Set<string|null>} told of whom the plan speaks: it says why they are as they are */
function notSettled(told) {
  return byUrgency.value.flatMap((one) => {
    const [retry, suspended, drifted] = [nextRetry(one), isSuspended(one) && condition(one, "Suspended"), condition(one, "Drifted")];
    return [
      retry && {id: one.worker_id, at: retry, text: "is tried again"},
      one.status === "error" && {id: one.worker_id, text: `waits for a person: ${shortly(one) || "it gave up"}`},
      suspended && {id: one.worker_id, text: suspended.message || suspended.reason},
      drifted && drifted.status !== "False" && !told.has(one.worker_id) && {id: one.worker_id, text: `is not as its spec asks${drifted.message && drifted.message !== `${one.worker_id}/0` ? `: ${drifted.message}` : ""}`},
      one.problems.length > 0 && !told.has(one.worker_id) && {id: one.worker_id, text: one.revision ? "goes on with its last good spec: its file has a problem" : "has no good spec yet: its file has a problem"},
    ].filter(Boolean);
  });
}

/** @param {{rows: any[]}} props */
function Ahead({rows}) {
  if (rows.length === 0) return null;
  return html`<${Card} title="Not settled" aside=${plural(new Set(rows.map((/** @type {any} */ row) => row.id)).size, "worker")}><ul class="ahead">${rows.map((/** @type {any} */ row, index) => html`<li key=${index}>
    <a href=${`/workers/${row.id}`}>${row.id}</a> <span>${visible(row.text)}</span>${row.at && html` <${Due} at=${row.at} />`}</li>`)}</ul><//>`;
}

/** The last decisions, each with its cause. */
function Done() {
  const {data} = useFetched("/events", {actor: "loop", limit: 40});
  if (!data) return null;
  const last = data.items.length ? data.items[data.items.length - 1].seq : 0;
  const fresh = happened.value.filter((one) => one.seq > last && one.actor === "loop");
  const events = [...data.items, ...fresh].filter((one) => one.type !== "held").slice(-8);
  if (events.length === 0) return null;
  return html`<${Card} title="Done last" aside=${html`<a href="/events?actor=loop">all of it</a>`}><${EventList} events=${byTime(events)} /><//>`;
}

function LookNow() {
  const [isBusy, setBusy] = useState(false);
  const look = () => {
    setBusy(true);
    send("POST", "/reconcile").then(() => toast({tone: "good", text: "Specs and processes are looked at now."}), toastError).finally(() => setBusy(false));
  };
  return html`<button class="button" disabled=${isBusy} onClick=${look} title="workerctl reconcile">Look now</button>`;
}
