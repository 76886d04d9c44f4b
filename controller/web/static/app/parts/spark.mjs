// Sparklines: the last minutes of a figure in the height of a row. The words beside them say the same.
import {html} from "../html.mjs";

/**
 * @param {{values: (number|null)[], most: number, label: string, limit?: number|null}} props `most`: the scale, the same
 * for a whole column, so that rows can be compared
 */
export function Spark({values, most, label, limit = null}) {
  const [width, height] = [64, 16];
  const top = Math.max(most, limit ?? 0, 1e-9);
  const x = (/** @type {number} */ index) => (values.length < 2 ? width : (index * width) / (values.length - 1));
  const y = (/** @type {number} */ value) => height - 1.5 - (Math.min(value, top) / top) * (height - 3);
  let [line, area, from] = ["", "", 0];
  let isBroken = true;
  values.forEach((value, index) => {
    if (value === null) {
      isBroken = true;
      return;
    }
    const point = `${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    line += `${isBroken ? "M" : "L"}${point}`;
    if (isBroken) from = x(index);
    area += `${isBroken ? `M${from.toFixed(1)} ${height}L` : "L"}${point}`;
    const isLast = index + 1 === values.length || values[index + 1] === null;
    if (isLast) area += `L${x(index).toFixed(1)} ${height}Z`;
    isBroken = false;
  });
  return html`<svg class="spark" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${label}>
    ${limit !== null && html`<path class="spark-limit" d=${`M0 ${y(limit)}H${width}`} />`}
    <path class="spark-area" d=${area} /><path class="spark-line" d=${line} />
  </svg>`;
}
