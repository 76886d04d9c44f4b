// The last 24 hours of a worker as a bar of sixty pieces: whether it ran, died, gave up. One request, and by keys.
import {html, useEffect, useMemo, useState} from "../html.mjs";
import {get} from "../api.mjs";
import {clock} from "../chart-plot.mjs";
import {marksOf} from "../figure-history.mjs";
import {plural} from "../format.mjs";
import {serverNow} from "../time.mjs";

const PIECES = 60;
const PIECE_S = 86_400 / PIECES;
const ANEW_MS = 120_000;

/** @type {Record<string, string>} */
const WORDS = {run: "it ran", part: "it ran for a part of it", died: "it died", gaveup: "it gave up", none: "no process was seen"};

/** @typedef {{from: number, state: string, deaths: number}} Piece */

/**
 * Pure. A piece is as bad as the worst of it; where nothing was measured, nothing ran, or nobody looked.
 * @param {any} told of metrics-history @param {number} until in seconds @returns {Piece[]} the oldest first
 */
export function piecesOf(told, until) {
  const values = told.series.find((/** @type {any} */ one) => one.metric === "memory_bytes")?.values ?? [];
  const marks = marksOf(told.annotations);
  return Array.from({length: PIECES}, (_, index) => {
    const from = until - 86_400 + index * PIECE_S;
    const within = (/** @type {number} */ at) => at >= from && at < from + PIECE_S;
    const seen = told.times.flatMap((/** @type {number} */ at, /** @type {number} */ nth) => (within(at) ? [values[nth] !== null] : []));
    const deaths = marks.filter((one) => one.kind === "died" && within(one.at)).length;
    const up = seen.filter(Boolean).length;
    const state = marks.some((one) => one.kind === "gaveup" && within(one.at)) ? "gaveup" : deaths ? "died" : up === 0 ? "none" : up < seen.length * 0.8 ? "part" : "run";
    return {from, state, deaths};
  });
}

/** @param {{id: string}} props */
export function Day({id}) {
  const [told, setTold] = useState(/** @type {any} */ (null));
  const [at, setAt] = useState(-1);
  useEffect(() => {
    const control = new AbortController();
    const ask = () => {
      const until = Math.ceil(serverNow() / 1000);
      const since = new Date((until - 86_400) * 1000).toISOString();
      get("/metrics-history", {worker: id, since, metric: "memory_bytes", step: 60}, {signal: control.signal}).then((data) => setTold({data, until}), () => {});
    };
    ask();
    const timer = setInterval(() => document.hidden || ask(), ANEW_MS);
    return () => {
      control.abort();
      clearInterval(timer);
    };
  }, [id]);
  const pieces = useMemo(() => (told ? piecesOf(told.data, told.until) : []), [told]);
  if (pieces.length === 0) return null;
  const deaths = pieces.reduce((sum, one) => sum + one.deaths, 0);
  const up = pieces.filter((one) => one.state === "run" || one.state === "part").length;
  const words = (/** @type {Piece} */ one) => {
    const what = one.deaths ? `it died ${plural(one.deaths, "time")}${one.state === "gaveup" ? " and gave up" : ""}` : WORDS[one.state];
    return `${clock(one.from, 60)} to ${clock(one.from + PIECE_S, 60)}: ${what}`;
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const from = at < 0 ? PIECES : at;
    const to = {ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: PIECES - 1}[event.key];
    if (event.key === "Escape") setAt(-1);
    if (to === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(PIECES - 1, to)));
  };
  return html`<section class="day">
    <div class="day-head"><h2>Last 24 hours</h2><span class="muted">${at >= 0 ? words(pieces[at]) : `${deaths ? `died ${plural(deaths, "time")}` : "did not die"}${up < PIECES ? `; seen running in ${up} of ${PIECES} pieces` : ""}`}</span></div>
    <div class="day-bar" tabindex="0" role="slider" aria-label=${`The last 24 hours: ${deaths ? `it died ${plural(deaths, "time")}` : "it did not die"}`} aria-valuemin="0"
      aria-valuemax=${PIECES - 1}
      aria-valuenow=${at < 0 ? PIECES - 1 : at} aria-valuetext=${words(pieces[at < 0 ? PIECES - 1 : at])} onKeyDown=${onKeyDown} onBlur=${() => setAt(-1)} onMouseLeave=${() => setAt(-1)}>
      ${pieces.map((one, index) => html`<span key=${index} class=${`day-${one.state} ${index === at ? "at" : ""}`} title=${words(one)} onMouseEnter=${() => setAt(index)}></span>`)}</div>
    <div class="day-scale" aria-hidden="true"><span>24 h ago</span><span>12 h</span><span>now</span></div>
  </section>`;
}
