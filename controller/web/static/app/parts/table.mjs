// The one table: real rows and cells for those who listen, cards on a narrow screen, and of a long list only the rows
// that are near the window. Selection by checkbox, by shift and click, and by keys (j k x o, as on every list).
import {cls, Component, html, useCallback, useEffect, useLayoutEffect, useRef, useState} from "../html.mjs";
import {useKeys} from "../keys.mjs";
import {go} from "../router.mjs";

/**
 * @typedef {object} Column
 * @property {string} id
 * @property {any} label
 * @property {(row: any) => any} cell
 * @property {string} [class] "num" at the right, "grow" takes what is left, "quiet"
 * @property {boolean} [sorts] its head sorts
 * @property {boolean} [unnamed] its label is for those who listen alone
 * @property {number} [width] in px; where one has it, all but one must: columns then stay as they are while rows change
 */
/**
 * @typedef {object} TableProps
 * @property {string} label what it is a list of
 * @property {any[]} rows
 * @property {Column[]} columns
 * @property {(row: any) => string} keyOf
 * @property {(row: any) => string} [hrefOf] where `o` and Enter go
 * @property {(row: any) => string} [nameOf] for the checkbox; the key without
 * @property {{by: string, down: boolean}} [sort]
 * @property {(by: string) => void} [onSort]
 * @property {Set<string>} [selected] with it there are checkboxes
 * @property {(next: Set<string>) => void} [onSelect]
 * @property {(row: any) => string} [classOf]
 * @property {{keys: string, does: string, run: (row: any) => void}[]} [acts] keys that do something with the row of the cursor
 */

const MARGIN = 12;
const WHOLE_UP_TO = 80;

/** @param {TableProps} props */
export function Table({label, rows, columns, keyOf, hrefOf, nameOf = keyOf, sort, onSort, selected, onSelect, classOf, acts}) {
  const body = useRef(/** @type {any} */ (null));
  const [current, setCurrent] = useState(-1);
  const anchor = useRef(/** @type {any} */ (-1));
  const [first, last, height] = useWindow(body, rows.length);
  const shown = rows.slice(first, last);
  const choose = (/** @type {number} */ index, /** @type {boolean} */ isRange, /** @type {boolean} */ isOn) => {
    const next = new Set(selected);
    const [from, to] = isRange && anchor.current >= 0 ? [anchor.current, index].sort((a, b) => a - b) : [index, index];
    for (const row of rows.slice(from, to + 1)) next[isOn ? "add" : "delete"](keyOf(row));
    anchor.current = index;
    onSelect?.(next);
  };
  const latest = useRef(choose);
  latest.current = choose;
  const pick = useCallback((/** @type {[number, boolean, boolean]} */ ...told) => latest.current(...told), []);
  useRowKeys({rows, current, setCurrent, keyOf, hrefOf, selected, choose, body, first, height, acts});
  const allOn = selected && rows.length > 0 && rows.every((row) => selected.has(keyOf(row)));
  return html`<div class="table-box">
    <table role="table" aria-label=${label} aria-rowcount=${rows.length + 1} class=${cls("table", columns.some((one) => one.width) && "steady")}>
      <thead role="rowgroup"><tr role="row">
        ${selected && html`<th role="columnheader" class="pick"><input type="checkbox" aria-label="Select all that are listed" checked=${allOn}
          onChange=${() => onSelect?.(allOn ? new Set() : new Set(rows.map(keyOf)))} /></th>`}
        ${columns.map((column) => html`<${Head} key=${column.id} column=${column} sort=${sort} onSort=${onSort} />`)}
      </tr></thead>
      <tbody role="rowgroup" ref=${body}>
        ${first > 0 && html`<tr key="above" class="spacer" aria-hidden="true"><td style=${{height: `${first * height}px`}}></td></tr>`}
        ${shown.map((row, offset) => html`<${Row} key=${keyOf(row)} row=${row} index=${first + offset} columns=${columns}
          isCurrent=${first + offset === current} isOn=${selected?.has(keyOf(row))} name=${nameOf(row)} picks=${Boolean(selected)}
          choose=${pick} class=${classOf?.(row) ?? ""} />`)}
        ${last < rows.length && html`<tr key="below" class="spacer" aria-hidden="true"><td style=${{height: `${(rows.length - last) * height}px`}}></td></tr>`}
      </tbody>
    </table>
  </div>`;
}

/** @param {{column: Column, sort?: {by: string, down: boolean}, onSort?: (by: string) => void}} props */
function Head({column, sort, onSort}) {
  const isBy = sort?.by === column.id;
  const order = isBy ? (sort?.down ? "descending" : "ascending") : undefined;
  return html`<th role="columnheader" class=${column.class ?? ""} style=${column.width ? {width: `${column.width}px`} : undefined} aria-sort=${column.sorts ? (order ?? "none") : undefined}>
    ${column.sorts && onSort
      ? html`<button class="sorter" onClick=${() => onSort(column.id)}>${column.label}<span aria-hidden="true" class="arrow">${isBy ? (sort?.down ? "\u2193" : "\u2191") : ""}</span></button>`
      : html`<span class=${column.unnamed ? "unseen" : ""}>${column.label}</span>`}
  </th>`;
}

/** Drawn anew when something of its own changed, and not because others scroll by. What its cells read of signals they follow themselves. */
class Row extends Component {
  /** @param {any} next */
  shouldComponentUpdate(next) {
    return Object.keys(next).some((name) => next[name] !== this.props[name]);
  }

  render() {
    return drawn(this.props);
  }
}

/** @param {any} props */
function drawn({row, index, columns, isCurrent, isOn, name, picks, choose, class: more}) {
  return html`<tr role="row" aria-rowindex=${index + 2} class=${cls(isCurrent && "current", isOn && "on", more)} data-index=${index}>
    ${picks && html`<td role="cell" class="pick"><input type="checkbox" aria-label=${`Select ${name}`} checked=${Boolean(isOn)}
      onClick=${(/** @type {any} */ event) => choose(index, event.shiftKey, event.target.checked)} /></td>`}
    ${columns.map((/** @type {Column} */ column) => html`<td key=${column.id} role="cell" class=${column.class ?? ""}
      data-label=${column.unnamed ? undefined : column.label}>${column.cell(row)}</td>`)}
  </tr>`;
}

/** Which rows are near the window, and how high one is: `[first, last, height]`. @param {any} body @param {number} length */
function useWindow(body, length) {
  const [range, setRange] = useState([0, WHOLE_UP_TO, 49]);
  useLayoutEffect(() => {
    if (length <= WHOLE_UP_TO) {
      setRange([0, WHOLE_UP_TO, 49]);
      return undefined;
    }
    let asked = 0;
    const measure = () => {
      asked = 0;
      const element = body.current;
      if (!element) return;
      const real = [...element.children].filter((row) => !row.classList.contains("spacer"));
      const height = real.length ? real.reduce((sum, row) => sum + row.offsetHeight, 0) / real.length || 49 : 49;
      const top = -element.getBoundingClientRect().top;
      const first = Math.min(Math.max(0, Math.floor(top / height) - MARGIN), Math.max(0, length - 1));
      const last = Math.min(length, Math.ceil((top + innerHeight) / height) + MARGIN);
      setRange((was) => (was[0] === first && was[1] === last && Math.abs(was[2] - height) < 0.5 ? was : [first, Math.max(last, first + 1), height]));
    };
    const soon = () => {
      asked ||= requestAnimationFrame(measure);
    };
    measure();
    addEventListener("scroll", soon, {passive: true});
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(asked);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [length]);
  return length <= WHOLE_UP_TO ? [0, length, 49] : [range[0], Math.min(range[1], length), range[2]];
}

/** @param {any} props */
function useRowKeys({rows, current, setCurrent, keyOf, hrefOf, selected, choose, body, first, height, acts = []}) {
  const at = useRef(/** @type {any} */ (null));
  at.current = {rows, current, selected, choose, first, height};
  useEffect(() => {
    if (current >= rows.length) setCurrent(rows.length - 1);
  }, [rows.length]);
  const move = (/** @type {number} */ by) => {
    const {rows: now, current: from, height: high} = at.current;
    const to = Math.min(now.length - 1, Math.max(0, from + by));
    setCurrent(to);
    requestAnimationFrame(() => {
      const row = body.current?.querySelector(`[data-index="${to}"]`);
      if (row) row.scrollIntoView({block: "nearest"});
      else if (body.current) scrollTo(0, scrollY + body.current.getBoundingClientRect().top + to * high - innerHeight / 2);
    });
  };
  const row = () => at.current.rows[at.current.current];
  useKeys([
    {keys: "j", does: "Next row", group: "Lists", run: () => move(1)},
    {keys: "k", does: "Row before", group: "Lists", run: () => move(-1)},
    ...(hrefOf ? [{keys: "o", does: "Open the row", group: "Lists", run: () => row() && go(hrefOf(row()))}] : []),
    ...(selected ? [{keys: "x", does: "Select the row", group: "Lists", run: (/** @type {KeyboardEvent} */ event) =>
      row() && at.current.choose(at.current.current, event.shiftKey, !at.current.selected.has(keyOf(row())))}] : []),
    ...acts.map((/** @type {any} */ one) => ({keys: one.keys, does: one.does, group: "Lists", run: () => row() && one.run(row())})),
  ], [Boolean(hrefOf), Boolean(selected), acts.length]);
}
