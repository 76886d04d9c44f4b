// How many lines of what level when, of all that match: bars that lead to their worst line, and a span of time that is
// drawn over them becomes the one that is shown. The same for the keyboard, and as a table.
import {html, useRef, useState} from "../html.mjs";
import {count, duration, plural} from "../format.mjs";
import {useCounts} from "../log-counts.mjs";
import {clockShort} from "../log-look.mjs";
import {setQuery, withQuery} from "../router.mjs";
import {now} from "../time.mjs";
import {oneLine} from "../text.mjs";

/** From the ground up: name, one, many, the level that is this one and worse. */
const GROUPS = [["other", "no level", "no level", ""], ["debug", "debug", "debug", "debug"], ["info", "info", "info", "info"],
  ["warning", "warning", "warnings", "warning"], ["error", "error", "errors", "error"]];
const HIGH = 44;

const sum = (/** @type {number[]} */ values) => values.reduce((a, b) => a + b, 0);
const short = (/** @type {number} */ ms) => clockShort(ms, now.peek());

/** @param {number[]} counts */
const inWords = (counts) => GROUPS.map(([, one, many], group) => counts[group] && plural(counts[group], one, many)).filter(Boolean).reverse().join(", ");

/** @param {{source: import("../log-source.mjs").LogSource}} props */
export function LogHistogram({source}) {
  const told = useCounts(source);
  const [isTable, setTable] = useState(false);
  const bars = told.counts?.bars() ?? [];
  const totals = GROUPS.map((_, group) => sum(bars.map((bar) => bar.counts[group])));
  const step = told.counts?.step ?? 1;
  return html`<figure class="log-histogram">
    <figcaption><strong>${told.counts ? plural(sum(totals), "line") : "Counting\u2026"}</strong>
      ${GROUPS.map(([name, one, many, level], group) => totals[group] > 0 && html`<${Key} key=${name} name=${name} level=${level} words=${plural(totals[group], one, many)} />`).reverse()}
      <span class="log-counted" role="status">${counted(told)}</span>
      ${bars.length > 0 && html`<button class="link" aria-expanded=${isTable} onClick=${() => setTable(!isTable)}>as a table</button>`}</figcaption>
    ${bars.length ? html`<${Bars} bars=${bars} step=${step} totals=${totals} />
      <div class="log-span" aria-hidden="true"><span>${short(bars[0].at)}</span><span>a bar is ${duration(step)}</span><span>${short(bars[bars.length - 1].at + step * 1000)}</span></div>
      ${isTable && html`<${AsTable} bars=${bars} />`}` : html`<div class="log-bars"></div><div class="log-span">\u00a0</div>`}
  </figure>`;
}

/** What a colour means; it leads to those and worse. @param {{name: string, level: string, words: string}} props */
function Key({name, level, words}) {
  const inside = html`<i aria-hidden="true"></i>${words}`;
  return level && level !== "debug" ? html`<a class=${`log-key h-${name}`} href=${withQuery({level})} title=${`Only ${level} and worse`}>${inside}</a>` : html`<span class=${`log-key h-${name}`}>${inside}</span>`;
}

/** How far was counted. @param {import("../log-counts.mjs").Told} told */
function counted(told) {
  if (told.error) return html`not counted: ${oneLine(told.error.message, 80)}, <button class="link" onClick=${told.on}>try again</button>`;
  if (told.backTo === null) return told.isCounting && told.counts ? "counting\u2026" : "";
  return html`counted back to ${short(told.backTo)}, ${told.isCounting ? "counting on\u2026" : html`<button class="link" onClick=${told.on}>count on</button>`}`;
}

/** @param {{bars: any[], step: number, totals: number[]}} props */
function Bars({bars, step, totals}) {
  const [at, setAt] = useState(/** @type {number|null} */ (null));
  const [drawn, setDrawn] = useState(/** @type {number[]|null} */ (null));
  const from = useRef(/** @type {number|null} */ (null));
  const most = Math.max(1, ...bars.map((bar) => sum(bar.counts)));
  const under = (/** @type {any} */ event) => {
    const rect = event.currentTarget.getBoundingClientRect();
    return Math.min(bars.length - 1, Math.max(0, Math.floor(((event.clientX - rect.left) / rect.width) * bars.length)));
  };
  const zoom = (/** @type {number} */ first, /** @type {number} */ last) => setQuery({
    since: new Date(bars[first].at).toISOString(), until: new Date(bars[last].at + step * 1000 - 1).toISOString(), at: null,
  });
  const move = (/** @type {any} */ event) => {
    setAt(under(event));
    if (from.current !== null) setDrawn([from.current, under(event)].sort((a, b) => a - b));
  };
  const up = (/** @type {any} */ event) => {
    const [first, last] = [from.current ?? 0, under(event)].sort((a, b) => a - b);
    if (from.current !== null && last > first) zoom(first, last);
    else if (from.current !== null && bars[last].id) setQuery({at: bars[last].id});
    from.current = null;
    setDrawn(null);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const here = at ?? bars.length;
    const to = {ArrowLeft: here - 1, ArrowRight: here + 1, PageUp: here - 10, PageDown: here + 10, Home: 0, End: bars.length - 1}[event.key];
    if (to !== undefined) setAt(Math.max(0, Math.min(bars.length - 1, to)));
    else if (event.key === "Enter" && at !== null && bars[at]?.id) setQuery({at: bars[at].id});
    else return;
    event.preventDefault();
  };
  const shown = at !== null && at < bars.length ? at : bars.length - 1;
  const words = (/** @type {number} */ index) => `${short(bars[index].at)}: ${inWords(bars[index].counts) || "no line"}`;
  const label = `Lines over time, from ${short(bars[0].at)} to ${short(bars[bars.length - 1].at + step * 1000)}: ${inWords(totals) || "none"}. Enter shows the worst line of a bar.`;
  return html`<div class="log-bars" tabindex="0" role="slider" aria-orientation="horizontal" aria-label=${label} aria-valuemin="0" aria-valuemax=${bars.length - 1} aria-valuenow=${shown}
      aria-valuetext=${words(shown)} onKeyDown=${onKeyDown} onBlur=${() => setAt(null)} onPointerMove=${move} onPointerLeave=${() => setAt(null)} onPointerUp=${up}
      onPointerDown=${(/** @type {any} */ event) => {
        if (event.button) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = under(event);
      }}>
    <svg viewBox=${`0 0 ${bars.length} ${HIGH}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
      ${drawn && html`<rect class="log-drawn" x=${drawn[0]} y="0" width=${drawn[1] - drawn[0] + 1} height=${HIGH} />`}
      ${at !== null && !drawn && html`<rect class="log-hit" x=${shown} y="0" width="1" height=${HIGH} />`}
      ${bars.map((bar, index) => html`<${Bar} key=${bar.at} counts=${bar.counts} index=${index} most=${most} />`)}
    </svg>
    ${at !== null && html`<span class="log-tip" style=${{left: `${((shown + 0.5) / bars.length) * 100}%`}} aria-hidden="true">${words(shown)}</span>`}
  </div>`;
}

/** @param {{counts: number[], index: number, most: number}} props */
function Bar({counts, index, most}) {
  let top = HIGH;
  return html`<g>${counts.map((number, group) => {
    if (!number) return null;
    const height = Math.max(1.5, (number / most) * (HIGH - 2));
    top -= height;
    return html`<rect key=${group} class=${`h-${GROUPS[group][0]}`} x=${index + 0.1} y=${Math.max(0, top)} width="0.8" height=${height} />`;
  })}</g>`;
}

/** The same figures, the newest first. @param {{bars: any[]}} props */
function AsTable({bars}) {
  const groups = GROUPS.map((one, group) => ({name: one[2], group})).filter(({group}) => bars.some((bar) => bar.counts[group])).reverse();
  return html`<div class="chart-rows log-table" tabindex="0" role="region" aria-label="Lines over time as a table"><table>
    <thead><tr><th scope="col">From</th>${groups.map(({name}) => html`<th key=${name} scope="col">${name}</th>`)}</tr></thead>
    <tbody>${bars.filter((bar) => sum(bar.counts)).reverse().map((bar) => html`<tr key=${bar.at}><th scope="row"><time datetime=${new Date(bar.at).toISOString()}>${short(bar.at)}</time></th>
      ${groups.map(({group}) => html`<td key=${group}>${count(bar.counts[group])}</td>`)}</tr>`)}</tbody></table></div>`;
}
