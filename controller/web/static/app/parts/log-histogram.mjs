// How many lines of what level when, of those that are loaded: bars that lead there. The API has no counts, so it is
// about no other lines, and says so.
import {html, useEffect, useRef, useState} from "../html.mjs";
import {plural} from "../format.mjs";
import {clockShort} from "../log-look.mjs";
import {now} from "../time.mjs";

const BARS = 80;
const SOON_MS = 300;
/** From the ground up. */
const GROUPS = [["other", "no level", "no level"], ["debug", "debug", "debug"], ["info", "info", "info"], ["warning", "warning", "warnings"], ["error", "error", "errors"]];
const GROUP_OF = {"": 0, trace: 1, debug: 1, info: 2, notice: 2, warning: 3, error: 4, critical: 4, fatal: 4};

/** @param {import("../log-lines.mjs").LogLines} lines */
export function countsOf(lines) {
  let [from, to] = [Infinity, -Infinity];
  for (let index = 0; index < lines.length; index += 1) {
    const {ms} = lines.at(index);
    if (ms < from) from = ms;
    if (ms > to) to = ms;
  }
  const step = Math.max(1, (to - from + 1) / BARS);
  const bars = Array.from({length: BARS}, () => ({counts: [0, 0, 0, 0, 0], id: 0, worst: -1}));
  const totals = [0, 0, 0, 0, 0];
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines.at(index);
    if (line.kind === "gap") continue;
    const group = line.kind === "error" ? 4 : (GROUP_OF[/** @type {"info"} */ (line.level)] ?? 0);
    const bar = bars[Math.min(BARS - 1, Math.floor((line.ms - from) / step))];
    bar.counts[group] += 1;
    totals[group] += 1;
    if (group > bar.worst) Object.assign(bar, {worst: group, id: line.id});
  }
  return {from, to, step, bars, totals};
}

/** @param {{source: import("../log-source.mjs").LogSource, toId: (id: number) => void}} props */
export function LogHistogram({source, toId}) {
  const version = source.version.value;
  const [found, setFound] = useState(/** @type {any} */ (null));
  const asked = useRef(/** @type {any} */ (0));
  useEffect(() => () => {
    clearTimeout(asked.current);
    asked.current = 0;
    setFound(null);
  }, [source]);
  useEffect(() => {
    asked.current ||= setTimeout(() => {
      asked.current = 0;
      setFound(source.lines.length > 1 ? countsOf(source.lines) : null);
    }, SOON_MS);
  }, [version, source]);
  if (!found) return html`<div class="log-histogram is-empty"></div>`;
  const most = Math.max(1, ...found.bars.map((/** @type {any} */ one) => one.counts.reduce((/** @type {number} */ sum, /** @type {number} */ value) => sum + value, 0)));
  const legend = GROUPS.map(([name, one, many], index) => ({name, words: plural(found.totals[index], one, many), number: found.totals[index]})).filter((one) => one.number).reverse();
  const total = found.totals.reduce((/** @type {number} */ sum, /** @type {number} */ value) => sum + value, 0);
  const words = legend.map((one) => one.words).join(", ");
  const span = [clockShort(found.from, now.peek()), clockShort(found.to, now.peek())];
  const jump = (/** @type {any} */ event) => {
    const rect = event.currentTarget.getBoundingClientRect();
    const bar = found.bars[Math.min(BARS - 1, Math.max(0, Math.floor(((event.clientX - rect.left) / rect.width) * BARS)))];
    if (bar.id) toId(bar.id);
  };
  return html`<figure class="log-histogram">
    <figcaption><span>${plural(total, "line")} loaded</span>${legend.map((one) => html`<span key=${one.name} class=${`log-key h-${one.name}`}><i aria-hidden="true"></i>${one.words}</span>`)}</figcaption>
    <svg role="img" aria-label=${`Of the lines that are loaded, from ${span[0]} to ${span[1]}: ${words}`} viewBox=${`0 0 ${BARS} 40`} preserveAspectRatio="none" onClick=${jump}>
      ${found.bars.map((/** @type {any} */ bar, /** @type {number} */ index) => html`<${Bar} key=${index} bar=${bar} index=${index} most=${most} at=${clockShort(found.from + index * found.step, now.peek())} />`)}
    </svg>
    <div class="log-span" aria-hidden="true"><span>${span[0]}</span><span>${span[1]}</span></div>
  </figure>`;
}

/** @param {{bar: any, index: number, most: number, at: string}} props */
function Bar({bar, index, most, at}) {
  let top = 40;
  const parts = bar.counts.map((/** @type {number} */ number, /** @type {number} */ group) => {
    if (!number) return null;
    const height = Math.max(1.2, (number / most) * 38);
    top -= height;
    return html`<rect key=${group} class=${`h-${GROUPS[group][0]}`} x=${index + 0.1} y=${Math.max(0, top)} width="0.8" height=${height} />`;
  });
  const words = GROUPS.map(([, one, many], group) => bar.counts[group] && plural(bar.counts[group], one, many)).filter(Boolean).join(", ");
  return html`<g>${parts}<rect class="log-hit" x=${index} y="0" width="1" height="40"><title>${at}${words ? `: ${words}` : ""}</title></rect></g>`;
}
