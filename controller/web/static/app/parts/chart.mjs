// A chart of lines over time: drawn by uPlot, read by everybody. Its name tells its extremes, arrow keys move the cursor
// (which all charts of a screen share), and a table has the same figures.
import {html, useEffect, useRef, useState} from "../html.mjs";
import {colorTurn} from "../chart-colors.mjs";
import {clock, LINES, optionsOf, topOf} from "../chart-plot.mjs";
import {absolute} from "./when.mjs";

/** @type {Promise<any>|null} */
let library = null;

/** uPlot, and its few rules of style; only where a chart is shown. */
function load() {
  if (library) return library;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("../../vendor/uplot.css", import.meta.url).href;
  const styled = new Promise((resolve) => {
    link.onload = link.onerror = resolve;
  });
  document.head.append(link);
  library = Promise.all([import("../../vendor/uplot.mjs"), styled]).then(([module]) => module.default);
  return library;
}

/**
 * @param {object} props
 * @param {import("../chart-plot.mjs").Chart} props.chart
 * @param {number[]} props.times seconds
 * @param {{label: string, values: (number|null)[]}[]} props.lines
 * @param {import("../figure-history.mjs").Mark[]} props.marks
 * @param {import("../chart-plot.mjs").Limit} props.limit
 * @param {[number, number]} props.span
 * @param {import("../html.mjs").Signal<number|null>} props.at the shared cursor: an index into `times`
 * @param {(from: number, to: number) => void} props.onZoom
 */
export function Chart({chart, times, lines, marks, limit, span, at, onZoom}) {
  const box = useRef(/** @type {any} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const [uPlot, setLibrary] = useState(/** @type {any} */ (null));
  const labels = lines.map((one) => one.label);
  const data = useRef(/** @type {any} */ (null));
  data.current = {times, lines, marks, limit, span, top: topOf(chart, lines.map((one) => one.values), limit), onZoom};
  const turn = colorTurn.value;
  useEffect(() => {
    load().then((found) => setLibrary(() => found));
  }, []);
  useEffect(() => {
    if (!uPlot || !box.current) return undefined;
    const element = box.current;
    const how = {
      labels, width: element.clientWidth, height: 168, data: () => data.current,
      hover: (/** @type {number|null} */ index) => {
        at.value = index;
      },
      zoom: (/** @type {number} */ from, /** @type {number} */ to) => data.current.onZoom(from, to),
    };
    plot.current = new uPlot(optionsOf(uPlot, chart, how), [times, ...lines.map((one) => one.values)], element);
    const stop = at.subscribe((index) => follow(plot.current, data.current.times, index));
    const watcher = new ResizeObserver(() => element.clientWidth && plot.current.setSize({width: element.clientWidth, height: 168}));
    watcher.observe(element);
    return () => {
      stop();
      watcher.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [uPlot, chart, labels.join("\0")]);
  useEffect(() => {
    plot.current?.setData([times, ...lines.map((one) => one.values)]);
  }, [times, lines, marks, limit, span, turn]);
  const index = at.value !== null && at.value < times.length ? at.value : null;
  const move = (/** @type {KeyboardEvent} */ event) => {
    const from = index ?? times.length;
    const to = {ArrowLeft: from - 1, ArrowRight: from + 1, PageUp: from - 10, PageDown: from + 10, Home: 0, End: times.length - 1}[event.key];
    if (event.key === "Escape") at.value = null;
    if (to === undefined || times.length === 0) return;
    event.preventDefault();
    at.value = Math.max(0, Math.min(times.length - 1, to));
  };
  const shown = index ?? times.length - 1;
  return html`<figure class="chart card">
    <figcaption class="chart-head"><h2>${chart.title}</h2>
      <ul class="chart-values">${lines.map((one, number) => html`<li key=${one.label} class=${`line-${(number % LINES.length) + 1}`}>
        ${lines.length > 1 && html`<span class="chart-swatch" aria-hidden="true"></span><span class="muted">${one.label}</span>`}<strong>
          ${chart.format(index === null ? last(one.values) : one.values[index])}</strong></li>`)}</ul></figcaption>
    <div ref=${box} class="chart-plot" tabindex="0" role="slider" aria-orientation="horizontal" aria-label=${nameOf(chart, lines, limit)} aria-valuemin="0"
      aria-valuemax=${Math.max(0, times.length - 1)}
      aria-valuenow=${Math.max(0, shown)} aria-valuetext=${told(chart, times, lines, shown)} onKeyDown=${move} onBlur=${() => {
        at.value = null;
      }}></div>
    <${AsTable} chart=${chart} times=${times} lines=${lines} />
  </figure>`;
}

/** Move the cursor to where the others have it. @param {any} plot @param {number[]} times @param {number|null} index */
function follow(plot, times, index) {
  if (!plot || (plot.cursor.left >= 0 ? plot.cursor.idx : null) === index) return;
  plot.setCursor(index === null ? {left: -10, top: -10} : {left: plot.valToPos(times[index], "x"), top: 10});
}

/** The newest that is known. @param {(number|null)[]} values */
const last = (values) => values.findLast((value) => value !== null) ?? null;

/** @param {any} chart @param {any[]} lines @param {any} limit */
function nameOf(chart, lines, limit) {
  const all = lines.flatMap((one) => one.values).filter((value) => value !== null);
  if (all.length === 0) return `${chart.title}: nothing is known`;
  const least = all.reduce((a, b) => Math.min(a, b));
  const most = all.reduce((a, b) => Math.max(a, b));
  return `${chart.title}, from ${chart.format(least)} to ${chart.format(most)}${limit ? `, ${limit.text}` : ""}`;
}

/** @param {any} chart @param {number[]} times @param {any[]} lines @param {number} index */
function told(chart, times, lines, index) {
  if (index < 0) return "nothing";
  const values = lines.map((one) => `${lines.length > 1 ? `${one.label} ` : ""}${one.values[index] === null ? "unknown" : chart.format(one.values[index])}`);
  return `${clock(times[index], 1)}: ${values.join(", ")}`;
}

const MOST_ROWS = 120;

/** The same figures as a table; drawn when it is opened. @param {{chart: any, times: number[], lines: any[]}} props */
function AsTable({chart, times, lines}) {
  const [isOpen, setOpen] = useState(false);
  const every = Math.max(1, Math.ceil(times.length / MOST_ROWS));
  const rows = isOpen ? times.map((_, index) => index).filter((index) => (times.length - 1 - index) % every === 0).reverse() : [];
  return html`<details class="chart-table" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}><summary>As a table</summary>
    ${isOpen && html`<div class="chart-rows" tabindex="0" role="region" aria-label=${`${chart.title} as a table`}><table><thead><tr><th scope="col">Time</th>
      ${lines.map((one) => html`<th key=${one.label} scope="col">${one.label}</th>`)}</tr></thead>
      <tbody>${rows.map((index) => html`<tr key=${times[index]}><th scope="row"><time datetime=${new Date(times[index] * 1000).toISOString()}>
        ${absolute(new Date(times[index] * 1000).toISOString())}</time></th>
        ${lines.map((one) => html`<td key=${one.label}>${chart.format(one.values[index])}</td>`)}</tr>`)}</tbody></table>
      ${every > 1 && html`<p class="muted">Every ${every}. value; the API has all of them.</p>`}</div>`}</details>`;
}
