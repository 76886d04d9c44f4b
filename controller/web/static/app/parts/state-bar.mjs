// How a worker was over the span that is shown, as one bar of sixty pieces: seen running, died in it, seen in a part of
// it, or not seen. Arrow keys read it piece by piece; marks and figures are those of the charts.
import {html, useMemo, useState} from "../html.mjs";
import {clock} from "../chart-plot.mjs";
import {percent, plural} from "../format.mjs";

const PIECES = 60;

/** @typedef {{from: number, to: number, state: "up"|"died"|"part"|"none", deaths: number}} Piece in seconds */

/**
 * @param {{times: number[], step_s: number}} data @param {{values: (number|null)[]}[]} lines figures that only a process has
 * @param {any[]} marks @param {[number, number]} span @returns {{pieces: Piece[], share: number}}
 */
export function piecesOf(data, lines, marks, [begin, end]) {
  const isSeen = data.times.map((_, index) => lines.some((line) => line.values[index] !== null));
  const length = (end - begin) / PIECES;
  const pieces = Array.from({length: PIECES}, (_, number) => {
    const [from, to] = [begin + number * length, begin + (number + 1) * length];
    // A value is of the time behind it; a piece that is shorter than that is what its value says.
    const inside = isSeen.filter((_seen, index) => data.times[index] < to && data.times[index] + data.step_s > from);
    const seen = inside.filter(Boolean).length;
    const deaths = marks.filter((one) => (one.kind === "died" || one.kind === "gaveup") && one.at >= from && one.at < to).length;
    const state = deaths ? "died" : seen === 0 ? "none" : seen < inside.length ? "part" : "up";
    return /** @type {Piece} */ ({from, to, state, deaths});
  });
  return {pieces, share: (isSeen.filter(Boolean).length * data.step_s) / Math.max(1, end - begin)};
}

const WORDS = {up: "seen running", died: "died", part: "seen running for a part of it", none: "not seen running"};

/** @param {{data: any, lines: any[], marks: any[], span: [number, number]}} props */
export function StateBar({data, lines, marks, span}) {
  const [at, setAt] = useState(/** @type {number|null} */ (null));
  const {pieces, share} = useMemo(() => piecesOf(data, lines, marks, span), [data, marks, span]);
  const deaths = pieces.reduce((sum, one) => sum + one.deaths, 0);
  const told = (/** @type {number} */ index) => {
    const {from, to, state, deaths: own} = pieces[index];
    return `${clock(from, 60)} to ${clock(to, 60)}: ${state === "died" ? `died ${plural(own, "time")}` : WORDS[state]}`;
  };
  const move = (/** @type {KeyboardEvent} */ event) => {
    const here = at ?? PIECES;
    const to = {ArrowLeft: here - 1, ArrowRight: here + 1, PageUp: here - 10, PageDown: here + 10, Home: 0, End: PIECES - 1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(PIECES - 1, to)));
  };
  const whole = `Seen running ${percent(Math.min(1, share) * 100)} of this time${deaths ? `, died ${plural(deaths, "time")}` : ""}`;
  const shown = at ?? PIECES - 1;
  return html`<div class="state-bar">
    <p><strong>${whole}</strong>${at !== null && html`<span class="muted">${told(at)}</span>`}</p>
    <div class="state-pieces" tabindex="0" role="slider" aria-orientation="horizontal" aria-label=${whole} aria-valuemin="0" aria-valuemax=${PIECES - 1} aria-valuenow=${shown}
      aria-valuetext=${told(shown)} onKeyDown=${move} onBlur=${() => setAt(null)} onPointerLeave=${() => setAt(null)}>${pieces.map((one, index) => html`<span
        key=${index} class=${`piece-${one.state}`} onPointerEnter=${() => setAt(index)}></span>`)}</div></div>`;
}
