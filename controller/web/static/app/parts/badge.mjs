// A state: its shape and its word, never colour alone. Each state has a shape of its own, so that it is told without
// colours, and in a small square without the word.
import {cls, html} from "../html.mjs";
import {MEANING} from "../status.mjs";

/** @type {Record<string, any>} Within a circle or square of 12. */
const SHAPES = {
  running: html`<circle cx="6" cy="6" r="5" class="fill" /><path d="M3.6 6.200l1.7 1.7 3.2-3.6" class="cut" />`,
  starting: html`<circle cx="6" cy="6" r="4.5" class="line dashed" /><circle cx="6" cy="6" r="1.8" class="fill" />`,
  stopping: html`<circle cx="6" cy="6" r="4.5" class="line dashed" /><rect x="4.2" y="4.2" width="3.6" height="3.6" class="fill" />`,
  stopped: html`<circle cx="6" cy="6" r="4.5" class="line" />`,
  crashed: html`<path d="M6 .8 11.6 11H.4Z" class="fill" /><path d="M6 4.500v3M6 9.200v.1" class="cut" />`,
  error: html`<circle cx="6" cy="6" r="5.5" class="fill" /><path d="M4 4l4 4M8 4l-4 4" class="cut" />`,
  unknown: html`<circle cx="6" cy="6" r="5.5" class="fill" /><path d="M4.5 4.800a1.5 1.5 0 1 1 2.2 1.300c-.5.3-.7.6-.7 1.100M6 9v.1" class="cut" />`,
};

/** The shape alone; give what it stands in a name. @param {{value: string}} props */
export function StatusShape({value}) {
  return html`<svg class=${`shape s-${value}`} width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" focusable="false">
    ${SHAPES[value] ?? SHAPES.unknown}
  </svg>`;
}

/** Shape and word. `quiet`: without the tinted ground. @param {{value: string, quiet?: boolean}} props */
export function Status({value, quiet = false}) {
  return html`<span class=${cls("status", `s-${value}`, quiet && "quiet")} title=${MEANING[value] ?? ""}>
    <${StatusShape} value=${value} />${value}
  </span>`;
}

/** A small mark with a word of its own: a label, a role. @param {{children: any, tone?: string, title?: string}} props */
export function Tag({children, tone = "", title = ""}) {
  return html`<span class=${cls("tag", tone && `tag-${tone}`)} title=${title || undefined}>${children}</span>`;
}
