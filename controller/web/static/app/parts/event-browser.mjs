// The long form of events: filters in the URL, three densities, live, and back as far as there are any. A worker's tab
// and the Events screen are this with and without a worker.
import {html} from "../html.mjs";
import {asCurl} from "../api.mjs";
import {useEventHistory} from "../event-history.mjs";
import {count, plural} from "../format.mjs";
import {param, params, ActiveFilters, toggleParam} from "./filters.mjs";
import {setQuery, withQuery} from "../router.mjs";
import {byUrgency, happened} from "../store.mjs";
import {connection} from "../stream.mjs";
import {oneLine, visible} from "../text.mjs";
import {Empty, Loading} from "./empty.mjs";
import {Compact, Raw, Timeline, words} from "./event-views.mjs";
import {ErrorNotice} from "./notice.mjs";
import {Snippet} from "./copy.mjs";

const VIEWS = [["", "Compact"], ["timeline", "Timeline"], ["json", "JSON"]];
/** What was seen of each, so that a choice does not take away the others. */
const seen = {type: new Set(), actor: new Set()};

/** @param {{workerId?: string}} props without: of all, with a filter for one */
export function EventBrowser({workerId}) {
  const worker = workerId ?? (param("worker") || undefined);
  const upTo = /^\d+$/.test(param("at")) ? Number(param("at")) : undefined;
  const told = useEventHistory({workerId: worker, types: params("type"), actors: params("actor"), upTo});
  const all = told.events ?? [];
  for (const one of [...all, ...happened.value]) {
    seen.type.add(one.type);
    seen.actor.add(one.actor);
  }
  const showsAudit = param("audit") === "1" || params("type").includes("audit");
  const events = all.filter((one) => showsAudit || one.type !== "audit").reverse();
  const hidden = all.length - events.length;
  const names = ["type", "actor", ...(workerId ? [] : ["worker"])];
  return html`<div class="filters">
      ${!workerId && html`<${Choose} name="worker" label="Worker" values=${byUrgency.value.map((one) => one.worker_id).sort()} isOne />`}
      <${Choose} name="type" label="Kind" values=${[...seen.type].sort()} word=${words} />
      <${Choose} name="actor" label="By" values=${[...seen.actor].sort()} />
      <div class="segments event-views" role="group" aria-label="How it is shown">${VIEWS.map(([id, label]) => html`<button key=${id}
        aria-pressed=${param("view") === id} onClick=${() => setQuery({view: id})}>${label}</button>`)}</div>
    </div>
    <${ActiveFilters} names=${names}>${told.events && plural(events.length, "event")}${upTo !== undefined
      ? html` up to the marked one; <a href=${withQuery({at: null})}>the newest</a>` : connection.value === "live" && html` <span class="live-mark">live</span>`}
      ${hidden > 0 && html` <a href=${withQuery({audit: "1"})}>and ${count(hidden)} of the audit</a>`}${param("audit") === "1" && html` <a
        href=${withQuery({audit: null})}>without the audit</a>`}<//>
    <${ErrorNotice} error=${told.error} retry=${told.again} />
    <div class="card event-card">
      ${told.events === null ? html`<div class="pad"><${Loading} rows=${8} /></div>` : events.length ? html`<${Shown} events=${events}
        showsWorker=${!workerId} />` : html`<${Nothing} names=${names} worker=${worker} />`}
      ${told.hasMore && html`<p class="event-more"><button class="button" disabled=${told.isPaging} onClick=${told.older}>${told.isPaging ? "Loading\u2026" : "Load older"}</button></p>`}
      ${!told.hasMore && events.length > 0 && html`<p class="event-more muted">This is the first one that is kept.</p>`}
    </div>
    <details class="event-curl"><summary>The same with curl</summary>
      <${Snippet} text=${asCurl("GET", "/events", {query: {worker_id: worker, type: params("type"), actor: params("actor"), limit: 200}})} wrap /></details>`;
}

/** @param {{events: any[], showsWorker: boolean}} props */
function Shown({events, showsWorker}) {
  if (param("view") === "json") return html`<${Raw} events=${events} />`;
  return param("view") === "timeline"
    ? html`<${Timeline} events=${events} showsWorker=${showsWorker} />`
    : html`<${Compact} events=${events} showsWorker=${showsWorker} />`;
}

/** A list whose choice becomes a filter. @param {{name: string, label: string, values: string[], word?: (value: string) => string, isOne?: boolean}} props */
function Choose({name, label, values, word = (value) => value, isOne = false}) {
  const on = params(name);
  const choose = (/** @type {any} */ event) => {
    const value = event.target.value;
    event.target.value = "";
    if (isOne) setQuery({[name]: value});
    else if (value) toggleParam(name, value);
  };
  return html`<label class="choose"><span>${label}</span><select value="" onChange=${choose}>
    <option value="">${on.length === 0 ? "all" : on.length === 1 ? oneLine(word(on[0]), 30) : `${on.length} chosen`}</option>
    ${values.filter((value) => !on.includes(value)).map((value) => html`<option key=${value} value=${value}>${visible(word(value))}</option>`)}</select></label>`;
}

/** @param {{names: string[], worker?: string}} props */
function Nothing({names, worker}) {
  const isFiltered = names.some((name) => params(name).length);
  if (isFiltered) {
    const none = Object.fromEntries(names.map((name) => [name, null]));
    return html`<${Empty} title="No event matches" actions=${html`<a class="button" href=${withQuery(none)}>Clear filters</a>`}>Those that come will appear here by themselves.<//>`;
  }
  return html`<${Empty} title="Nothing happened yet">Starts, ends, changes of specs, and what people ask for are
    told here as they happen${worker ? "" : ", each with who did it and why"}.<//>`;
}
