// Times: relative for the eye, absolute when pointed at, RFC 3339 for machines.
import {html} from "../html.mjs";
import {roughly, UNKNOWN} from "../format.mjs";
import {dueIn} from "../status.mjs";
import {now, secondsSince} from "../time.mjs";

/** As this person's clock and calendar have it. @param {string} at */
export const absolute = (at) =>
  new Date(at).toLocaleString("en-GB", {dateStyle: "medium", timeStyle: "medium"});

/** "12 s ago", "3 d 4 h ago"; of what lies ahead "in 8 s". @param {{at: string|null|undefined, bare?: boolean}} props */
export function When({at, bare = false}) {
  const seconds = secondsSince(at);
  if (!at || seconds === null) return html`<span class="muted">${UNKNOWN}</span>`;
  const text = seconds < -1 ? `in ${roughly(-seconds)}` : seconds < 2 ? "now" : `${roughly(seconds)}${bare ? "" : " ago"}`;
  return html`<time datetime=${at} title=${absolute(at)}>${text}</time>`;
}

/** A countdown: "in 12 s", then "any moment". @param {{at: string}} props */
export function Due({at}) {
  return html`<time datetime=${at} title=${absolute(at)} class="due">${dueIn(at, now.value)}</time>`;
}
