// One small shape per instance of a worker; of many, a count per state.
import {html} from "../html.mjs";
import {STATUSES} from "../status.mjs";
import {StatusShape} from "./badge.mjs";

const MOST = 20;

/** @param {{instances: any[]}} props */
export function InstanceStrip({instances}) {
  const up = instances.filter((one) => one.status === "running").length;
  const label = `${up} of ${instances.length} running`;
  if (instances.length === 0) return html`<span class="muted">none</span>`;
  if (instances.length <= MOST) {
    return html`<span class="strip" role="img" aria-label=${label} title=${instances.map(told).join("\n")}>
      ${instances.map((one) => html`<${StatusShape} key=${one.instance} value=${one.status} />`)}</span>`;
  }
  const counts = STATUSES.map((status) => [status, instances.filter((one) => one.status === status).length]);
  return html`<span class="strip" title=${label}>${counts.filter(([, number]) => number).map(([status, number]) => html`
    <span key=${status} class="strip-count"><${StatusShape} value=${status} />${number}<span class="unseen"> ${status}</span></span>`)}</span>`;
}

/** @param {any} one */
const told = (one) => `${one.instance} ${one.status}${one.pid ? `, pid ${one.pid}` : ""}${one.reason ? `, ${one.reason}` : ""}`;
