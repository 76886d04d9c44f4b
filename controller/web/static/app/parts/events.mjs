// Events as a short list: what happened, to whom, when. The Events screen is the long form.
import {html, useEffect, useState} from "../html.mjs";
import {get} from "../api.mjs";
import {happened} from "../store.mjs";
import {oneLine} from "../text.mjs";
import {withCode} from "./doc-link.mjs";
import {When} from "./when.mjs";

/** Which shape an event has in a list. @type {Record<string, string>} */
const TONES = {
  crashed: "warn", gave_up: "bad", error: "bad", start_failed: "bad", became_running: "good", unreachable: "odd", spec_rejected: "bad",
};

/** @param {string} type */
export const toneOf = (type) => TONES[type] ?? (/fail|error|gave_up|oom|lost|refused|rejected/.test(type) ? "bad" : /crash|killed|timeout/.test(type) ? "warn" : "");

/**
 * The newest first: what was stored, then what comes. Audit of mere reads and writes is left to the Events screen.
 * @param {{workerId?: string, most?: number}} which @returns {any[]|null} null until it is known
 */
export function useRecent({workerId, most = 12}) {
  const [old, setOld] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const control = new AbortController();
    setOld(null);
    get("/events", {limit: most * 3, worker_id: workerId}, {signal: control.signal}).then((page) => setOld(page.items), () => setOld([]));
    return () => control.abort();
  }, [workerId, most]);
  if (old === null) return null;
  const last = old.length ? old[old.length - 1].seq : 0;
  const fresh = happened.value.filter((one) => one.seq > last && (!workerId || one.worker_id === workerId));
  return byTime([...old, ...fresh].filter((one) => one.type !== "audit").slice(-most));
}

/** The newest first by its own time: what a host tells may come later than what was decided here. @param {any[]} events */
export const byTime = (events) => [...events].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : b.seq - a.seq));

/** @param {{events: any[], showsWorker?: boolean}} props */
export function EventList({events, showsWorker = true}) {
  return html`<ol class="events">${events.map((event) => html`<li key=${event.seq} class=${`event e-${toneOf(event.type)}`}>
    <span class="event-dot" aria-hidden="true"></span>
    <span class="event-text"><strong>${event.type.replaceAll("_", " ")}</strong>
      ${showsWorker && event.worker_id && html` <a href=${`/workers/${event.worker_id}`}>${event.instance ?? event.worker_id}</a>`}
      ${!showsWorker && event.instance && html` <span class="muted">${event.instance}</span>`}
      ${event.message && html`<span class="event-message">${withCode(oneLine(event.message, 160))}</span>`}</span>
    <span class="event-when"><${When} at=${event.at} /></span>
  </li>`)}</ol>`;
}
