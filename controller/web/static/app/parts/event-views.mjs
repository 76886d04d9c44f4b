// One list of events in three densities: compact (what repeats is one row with its count), a timeline with everything
// that an event has, and as the API sends it.
import {cls, html, useState} from "../html.mjs";
import {count, duration, plural} from "../format.mjs";
import {folded} from "../event-history.mjs";
import {withQuery} from "../router.mjs";
import {oneLine, visible} from "../text.mjs";
import {toneOf} from "./events.mjs";
import {param} from "./filters.mjs";
import {Icon} from "./icon.mjs";
import {Snippet} from "./copy.mjs";
import {absolute, When} from "./when.mjs";

/** Ends of runs and what they led to: their log says why. */
const OF_A_RUN = /^(exited|killed|gave_up|start_failed|restart_scheduled|liveness_failed|hook_failed|oom_killed|completed)$/;

export const words = (/** @type {string} */ type) => type.replaceAll("_", " ");
/** A color for those that matter; a good start is not one of them. @param {any} event */
const tone = (event) => (event.type === "exited" && event.cause !== "stopped" && event.data?.code !== 0 ? "warn" : toneOf(event.type));

/** @param {{event: any}} props */
function RunLog({event}) {
  if (!event.run || !event.worker_id || !OF_A_RUN.test(event.type)) return null;
  return html`<a class="event-log" href=${`/workers/${event.worker_id}/logs?run=${event.run}`}>log of that run</a>`;
}

/** @param {{event: any, showsWorker: boolean}} props */
function Whose({event, showsWorker}) {
  if (showsWorker && event.worker_id) return html`<a href=${`/workers/${event.worker_id}`}>${event.instance ?? event.worker_id}</a>`;
  return event.instance ? html`<span class="muted">${event.instance}</span>` : null;
}

/** By the day of this person's calendar. @param {any[]} rows @param {(row: any) => any} eventOf */
function byDay(rows, eventOf) {
  /** @type {{day: string, rows: any[]}[]} */
  const days = [];
  for (const row of rows) {
    const day = new Date(eventOf(row).at).toLocaleDateString("en-GB", {weekday: "long", day: "numeric", month: "long"});
    if (days[days.length - 1]?.day !== day) days.push({day, rows: []});
    days[days.length - 1].rows.push(row);
  }
  return days;
}

/** @param {{events: any[], showsWorker: boolean}} props the newest first */
export function Compact({events, showsWorker}) {
  return html`${byDay(folded(events), (one) => one.event).map(({day, rows}) => html`<section key=${day} class="event-day">
    <h2>${day}</h2>
    <ol class="events long">${rows.map((one) => html`<${Folded} key=${one.events[one.events.length - 1].seq} one=${one} showsWorker=${showsWorker} />`)}</ol>
  </section>`)}`;
}

/** @param {{one: any, showsWorker: boolean}} props */
function Folded({one, showsWorker}) {
  const [isOpen, setOpen] = useState(false);
  const event = one.event;
  const within = (Date.parse(event.at) - Date.parse(one.events[one.events.length - 1].at)) / 1000;
  return html`<li class=${cls("event", `e-${tone(event)}`, one.events.some(isMarked) && "is-marked")}>
    <span class="event-dot" aria-hidden="true"></span>
    <div class="event-text"><strong>${words(event.type)}</strong> <${Whose} event=${event} showsWorker=${showsWorker} />
      ${event.message && html`<span class="event-message">${oneLine(event.message, 240)}</span>`} <${RunLog} event=${event} />
      ${one.count > 1 && html`<button class="event-times" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
        ${count(one.count)} times${within >= 1 && html`<span class="muted"> within ${duration(within)}</span>`}<${Icon}
          name="down" size=${12} /></button>`}
      ${isOpen && html`<ol class="event-each">${one.events.map((/** @type {any} */ each) => html`<li key=${each.seq}><${Clock} at=${each.at} />
        <span>${oneLine(each.message, 240)}</span> <${RunLog} event=${each} /></li>`)}</ol>`}
    </div>
    <span class="event-who">${oneLine(event.actor, 40)}</span>
    <a class="event-when" href=${withQuery({at: event.seq})} title="A link to it"><${When} at=${event.at} /></a>
  </li>`;
}

/** Whether the address is about it. @param {any} event */
const isMarked = (event) => param("at") === String(event.seq);

/** @param {{at: string}} props */
const Clock = ({at}) => html`<time class="clock" datetime=${at} title=${absolute(at)}>${new Date(at).toLocaleTimeString("en-GB", {hour12: false})}</time>`;

/** @param {{events: any[], showsWorker: boolean}} props the newest first */
export function Timeline({events, showsWorker}) {
  return html`${byDay(events, (one) => one).map(({day, rows}) => html`<section key=${day} class="event-day">
    <h2>${day}</h2>
    <ol class="timeline">${rows.map((event, index) => html`<${Moment} key=${event.seq} event=${event} before=${rows[index + 1]} showsWorker=${showsWorker} />`)}</ol>
  </section>`)}`;
}

/** @param {{event: any, before: any, showsWorker: boolean}} props */
function Moment({event, before, showsWorker}) {
  const gap = before ? (Date.parse(event.at) - Date.parse(before.at)) / 1000 : 0;
  const data = Object.entries(event.data ?? {}).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0));
  return html`<li class=${cls("moment", `e-${tone(event)}`, isMarked(event) && "is-marked")}>
    <a class="moment-when" href=${withQuery({at: event.seq})} title="A link to it"><${Clock} at=${event.at} /></a>
    <span class="moment-rail" aria-hidden="true"><span class="event-dot"></span></span>
    <div class="moment-body">
      <p><strong>${words(event.type)}</strong> <${Whose} event=${event} showsWorker=${showsWorker} /> <${RunLog} event=${event} /></p>
      ${event.message && html`<p>${visible(event.message)}</p>`}
      <dl class="moment-facts">
        <div><dt>by</dt><dd>${oneLine(event.actor, 80)}</dd></div>
        ${event.cause && !event.message.includes(event.cause) && html`<div><dt>because</dt><dd>${oneLine(event.cause, 200)}</dd></div>`}
        ${event.run && html`<div><dt>run</dt><dd><code>${event.run}</code></dd></div>`}
        ${data.map(([name, value]) => html`<div key=${name}><dt>${oneLine(name, 60)}</dt><dd>${oneLine(typeof value === "string" ? value : JSON.stringify(value), 200)}</dd></div>`)}
        <div><dt>number</dt><dd>${event.seq}</dd></div>
      </dl>
      ${gap >= 60 && html`<p class="moment-gap">${duration(gap)} before that</p>`}
    </div>
  </li>`;
}

/** @param {{events: any[]}} props the newest first; shown oldest first, as the API has it */
export function Raw({events}) {
  const shown = events.slice(0, 500).reverse();
  const text = shown.map((one) => visible(JSON.stringify(one))).join("\n");
  return html`<div class="pad">${events.length > shown.length && html`<p class="muted">The newest ${plural(shown.length, "event")} of ${count(events.length)}.</p>`}
    <${Snippet} text=${text} name="Events as JSON, one on each line" wrap /></div>`;
}
