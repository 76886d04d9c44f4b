// How uPlot is told to draw one of our charts: axes, lines, limits, marks. No state, no document: parts/chart.mjs has both.
import {color, faint} from "./chart-colors.mjs";
import {KINDS} from "./figure-history.mjs";

/** Lines of several instances, told apart by hue; where there are more, they begin again. */
export const LINES = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];

/**
 * @typedef {object} Chart
 * @property {string} id
 * @property {string} title
 * @property {(value: number|null|undefined) => string} format
 * @property {number} least the least top of the scale, so that noise about nothing looks like nothing
 * @property {boolean} [steps] a count, which stays until it changes
 * @property {boolean} [isBinary] bytes
 */
/** @typedef {{value: number, text: string}|null} Limit */

/** "14:05", with seconds or the day where they matter. @param {number} at seconds @param {number} step between two of them */
export function clock(at, step) {
  const date = new Date(at * 1000);
  if (step >= 86_400 || (step >= 3600 && date.getHours() === 0 && date.getMinutes() === 0)) {
    return date.toLocaleDateString("en-GB", {day: "numeric", month: "short"});
  }
  return date.toLocaleTimeString("en-GB", {hour: "2-digit", minute: "2-digit", ...(step < 60 && {second: "2-digit"})});
}

const COUNTS = [1, 2, 5].flatMap((digit) => Array.from({length: 12}, (_, power) => digit * 10 ** power)).sort((a, b) => a - b);
const BYTES = Array.from({length: 40}, (_, power) => 2 ** (power + 10));

/** The top of the scale. @param {Chart} chart @param {(number|null)[][]} lines @param {Limit} limit */
export function topOf(chart, lines, limit) {
  let most = 0;
  for (const line of lines) for (const value of line) if (value !== null && value > most) most = value;
  const top = Math.max(most * 1.18, chart.least);
  return limit && limit.value <= top * 2.5 ? Math.max(top, limit.value * 1.12) : top;
}

/**
 * @param {any} uPlot @param {Chart} chart
 * @param {{labels: string[], width: number, height: number, data: () => any, hover: (index: number|null) => void,
 *   zoom: (from: number, to: number) => void}} how
 */
export function optionsOf(uPlot, chart, how) {
  const line = (/** @type {number} */ index) => LINES[index % LINES.length];
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = {stroke: () => color("--muted"), font, ticks: {show: false}, grid: {stroke: () => color("--line"), width: 1}};
  return {
    width: how.width, height: how.height, legend: {show: false}, padding: [14, 20, 0, 0],
    cursor: {y: false, points: {size: 7}, drag: {x: true, y: false, setScale: false, dist: 6}},
    select: {show: true},
    scales: {x: {time: true, range: () => how.data().span}, y: {range: () => [0, how.data().top]}},
    axes: [
      {...axis, grid: {show: false}, size: 26, space: 64, values: (/** @type {any[]} */ ...[, splits, , , step]) => splits.map((/** @type {number} */ at) => clock(at, step))},
      {...axis, size: 64, space: 34, incrs: chart.isBinary ? BYTES : chart.least < 3 ? COUNTS : undefined,
        values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((at) => chart.format(at).replace(/\.0(?= )/, ""))},
    ],
    series: [{}, ...how.labels.map((label, index) => ({
      label, width: 1.6, stroke: () => color(line(index)), fill: how.labels.length === 1 ? () => faint(line(index), 0.1) : undefined,
      points: {show: (/** @type {any} */ self, /** @type {number} */ _at, /** @type {number} */ from, /** @type {number} */ to) => to - from < 2},
      paths: chart.steps ? uPlot.paths.stepped({align: 1}) : undefined,
    }))],
    hooks: {
      setCursor: [(/** @type {any} */ self) => how.hover(self.cursor.left < 0 ? null : self.cursor.idx)],
      setSelect: [(/** @type {any} */ self) => {
        if (self.select.width < 6) return;
        how.zoom(self.posToVal(self.select.left, "x"), self.posToVal(self.select.left + self.select.width, "x"));
        self.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
      }],
      draw: [(/** @type {any} */ self) => {
        drawMarks(self, how.data().marks);
        drawLimit(self, how.data().limit);
      }],
    },
  };
}

/** @param {any} self @param {Limit} limit */
function drawLimit(self, limit) {
  if (!limit || limit.value > self.scales.y.max) return;
  const {ctx, bbox} = self;
  const y = Math.round(self.valToPos(limit.value, "y", true));
  ctx.save();
  ctx.strokeStyle = color("--bad");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  stroke(ctx, [[bbox.left, y], [bbox.left + bbox.width, y]]);
  ctx.fillStyle = color("--bad");
  ctx.font = `${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
  ctx.textAlign = "right";
  ctx.fillText(limit.text, bbox.left + bbox.width - 4 * devicePixelRatio, y - 5 * devicePixelRatio);
  ctx.restore();
}

/** @param {any} self @param {import("./figure-history.mjs").Mark[]} marks */
function drawMarks(self, marks) {
  const {ctx, bbox} = self;
  const size = 4 * devicePixelRatio;
  const drawn = new Set();
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  for (const mark of [...marks].reverse()) {
    const x = Math.round(self.valToPos(mark.at, "x", true));
    const spot = `${mark.kind} ${Math.round(x / size)}`;
    if (x < bbox.left || x > bbox.left + bbox.width || drawn.has(spot)) continue;
    drawn.add(spot);
    const token = KINDS[mark.kind][1];
    if (mark.kind !== "started") {
      ctx.strokeStyle = faint(token, 0.45);
      stroke(ctx, [[x, bbox.top], [x, bbox.top + bbox.height]]);
    }
    shape(ctx, mark.kind, x, bbox.top - size, size, color(token));
  }
  ctx.restore();
}

/** The same shapes as the legend has. @param {any} ctx @param {string} kind @param {number} x @param {number} y @param {number} size @param {string} fill */
function shape(ctx, kind, x, y, size, fill) {
  ctx.fillStyle = fill;
  ctx.beginPath();
  if (kind === "died") path(ctx, [[x, y - size], [x + size, y + size], [x - size, y + size]]);
  else if (kind === "gaveup") path(ctx, [[x - size, y - size], [x + size, y - size], [x + size, y + size], [x - size, y + size]]);
  else if (kind === "spec") path(ctx, [[x, y - size * 1.2], [x + size * 1.2, y], [x, y + size * 1.2], [x - size * 1.2, y]]);
  else if (kind === "asked") path(ctx, [[x - size, y - size], [x + size, y - size], [x, y + size]]);
  else ctx.arc(x, y, size * (kind === "started" ? 0.7 : 0.8), 0, 7);
  ctx.fill();
}

/** @param {any} ctx @param {number[][]} points */
function path(ctx, points) {
  points.forEach(([x, y], index) => (index ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.closePath();
}

/** @param {any} ctx @param {number[][]} points */
function stroke(ctx, points) {
  ctx.beginPath();
  points.forEach(([x, y], index) => (index ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.stroke();
}
