// The list of a log: of a hundred thousand lines only the rows near the window are there. It follows while it is at its
// end, stays where it is when somebody scrolls up, and fetches older and newer lines at its edges.
import {cls, html, useEffect, useLayoutEffect, useMemo, useRef, useState} from "../html.mjs";
import {plural} from "../format.mjs";
import {columnsOf, HEIGHTS, readsJson, showsColours, size, times, timeWidth, Tops, wraps} from "../log-look.mjs";
import {now} from "../time.mjs";
import {Icon} from "./icon.mjs";
import {LogRow, MARK, MOST_SHOWN, written} from "./log-row.mjs";

const MARGIN = 12;
const EDGE_PX = 400;
const NARROW_PX = 620;

/** What a view can be told. @typedef {{toEnd: () => void, stay: () => void, toId: (id: number) => boolean, isFollowing: () => boolean}} Hand */

/**
 * @param {{source: import("../log-source.mjs").LogSource, pattern: RegExp|null, whose: "none"|"instance"|"worker", chosen: number|null,
 *   current: number|null, label: string, hand: {current: Hand|null}, onFollow?: (isFollowing: boolean) => void, toEnd: () => void}} props
 */
export function LogView({source, pattern, whose, chosen, current, label, hand, onFollow, toEnd}) {
  const box = useRef(/** @type {any} */ (null));
  const at = useRef({isFollowing: true, key: 0, offset: 0, seen: 0, top: 0, target: /** @type {number|null} */ (null), isPlaced: false});
  const [frame, setFrame] = useState({top: 0, height: 600, width: 900, letter: 7.5});
  const [isFollowing, setFollowing] = useState(true);
  const tops = useMemo(() => new Tops(source.lines), [source]);
  const {lines} = source;
  const version = source.version.value;
  const high = HEIGHTS[size.value];
  const isNarrow = frame.width < NARROW_PX;
  const look = useLook(source, pattern, whose, version);
  const before = (look.times === "none" ? 2 : timeWidth(look.times, look.hasDays) + 1) + (whose === "none" ? 0 : look.sourceWidth + 1) + MARK + 1;
  const columns = wraps.value ? Math.max(12, Math.floor((frame.width - 26) / frame.letter) - (isNarrow ? 0 : before)) : 0;
  // On a phone when and whose stand above the text, in a row of their own.
  tops.fit(columns, (line) => Math.max(1, Math.ceil(columnsOf(written(line).slice(0, MOST_SHOWN)) / columns)) + (isNarrow ? 1 : 0), `${columns} ${isNarrow}`);
  const first = Math.max(0, tops.indexAt(frame.top / high) - MARGIN);
  const last = Math.min(lines.length, tops.indexAt((frame.top + frame.height) / high) + 1 + MARGIN);

  const follow = (/** @type {boolean} */ is) => {
    if (at.current.isFollowing === is) return;
    Object.assign(at.current, {isFollowing: is, seen: source.arrived});
    source.isHeld = !is;
    setFollowing(is);
    onFollow?.(is);
  };
  const remember = () => {
    const element = box.current;
    const index = tops.indexAt(element.scrollTop / high);
    Object.assign(at.current, {key: lines.keyOf(index), offset: element.scrollTop - tops.top(index) * high, top: element.scrollTop});
    setFrame((was) => (was.top === element.scrollTop && was.height === element.clientHeight && was.width === element.clientWidth ? was
      : {...was, top: element.scrollTop, height: element.clientHeight, width: element.clientWidth}));
  };
  const onScroll = () => {
    const element = box.current;
    if (at.current.isFollowing && element.clientHeight !== frame.height) {
      // The window became another, and nobody scrolled.
      element.scrollTop = element.scrollHeight;
      remember();
      return;
    }
    const isUp = element.scrollTop < at.current.top - 2;
    const rest = element.scrollHeight - element.scrollTop - element.clientHeight;
    if (isUp && rest > 24) follow(false);
    else if (rest <= 24 && source.isAtEnd) follow(true);
    remember();
    if (source.state !== "ready") return;
    if (element.scrollTop < EDGE_PX && isUp && !source.stoppedEarly) source.loadOlder();
    if (rest < EDGE_PX && !isUp) source.loadNewer();
  };
  hand.current = {
    isFollowing: () => at.current.isFollowing,
    stay: () => follow(false),
    toEnd: () => {
      if (source.isAtEnd) {
        at.current.target = null;
        follow(true);
        box.current.scrollTop = box.current.scrollHeight;
        remember();
      } else {
        source.open();
        Object.assign(at.current, {isPlaced: false, target: null});
        follow(true);
      }
    },
    toId: (id) => {
      const index = lines.indexOf(id);
      if (index < 0) return false;
      follow(false);
      box.current.scrollTop = Math.max(0, tops.top(index) * high - box.current.clientHeight / 2 + high);
      remember();
      return true;
    },
  };

  useLayoutEffect(() => {
    const element = box.current;
    const probe = element.querySelector(".log-probe");
    const measure = () => {
      if (at.current.isFollowing) element.scrollTop = element.scrollHeight;
      setFrame((was) => ({...was, height: element.clientHeight, width: element.clientWidth, letter: probe.getBoundingClientRect().width / 100 || was.letter}));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(probe);
    measure();
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    // Another question begins at its end, or at the line that is asked for.
    Object.assign(at.current, {isPlaced: false, target: chosen, seen: 0, isFollowing: chosen === null});
    source.isHeld = chosen !== null;
    setFollowing(chosen === null);
  }, [source]);
  useLayoutEffect(() => {
    const element = box.current;
    if (source.state !== "ready") {
      at.current.isPlaced = false;
      return;
    }
    if (!at.current.isPlaced) {
      at.current.isPlaced = true;
      if (at.current.target !== null && hand.current?.toId(at.current.target)) return;
      at.current.isFollowing = source.isAtEnd;
      setFollowing(source.isAtEnd);
    }
    if (at.current.isFollowing) element.scrollTop = element.scrollHeight;
    else {
      const index = Math.max(0, at.current.key - lines.base);
      const wanted = tops.top(index) * high + (at.current.key >= lines.base ? at.current.offset : 0);
      if (Math.abs(element.scrollTop - wanted) > 1) element.scrollTop = wanted;
    }
    remember();
  }, [version, source, columns, high]);
  useEffect(() => onFollow?.(isFollowing), [isFollowing]);

  const fresh = source.arrived - at.current.seen;
  const minute = look.times === "relative" ? now.value : dayOf(now.peek());
  const rows = [];
  for (let index = first; index < last; index += 1) {
    const line = lines.at(index);
    rows.push(html`<${LogRow} key=${lines.keyOf(index)} line=${line} look=${look} minute=${minute} isChosen=${line.id === chosen} isCurrent=${line.id === current} />`);
  }
  return html`<div class="log-frame">
    <div class=${cls("log-box", `size-${size.value}`, wraps.value && "wraps", isNarrow && "narrow")} ref=${box} onScroll=${onScroll} tabindex="0" role="log" aria-live="off" aria-label=${label}>
      <span class="log-probe" aria-hidden="true">${"0".repeat(100)}</span>
      <div class="log-space" style=${{height: `${tops.height * high}px`}}><div class="log-rows" style=${{transform: `translateY(${tops.top(first) * high}px)`}}>${rows}</div></div>
    </div>
    ${!isFollowing && source.state === "ready" && source.query.until === undefined && html`<button class="log-more" onClick=${toEnd}>
      ${source.isAtEnd ? (fresh > 0 ? `Paused, ${plural(fresh, "new line")}` : "Paused") : "To the newest"}<${Icon} name="down" size=${14} /></button>`}
  </div>`;
}

/** The last second of a day's date: rows change with the day, and not each second. @param {number} ms */
const dayOf = (ms) => new Date(ms).setHours(23, 59, 59, 0);

/** One object as long as nothing of it changes: rows are compared by it. @param {any} source @param {RegExp|null} pattern @param {string} whose @param {number} version */
function useLook(source, pattern, whose, version) {
  const widest = useRef({source: null, width: 0, upTo: 0});
  if (widest.current.source !== source) widest.current = {source, width: 2, upTo: 0};
  const {lines} = source;
  if (whose !== "none") {
    for (let index = Math.max(0, widest.current.upTo - lines.base); index < lines.length; index += 1) {
      const line = lines.at(index);
      const length = whose === "worker" ? line.instance.length : line.instance.length - line.worker.length;
      if (length > widest.current.width) widest.current.width = Math.min(length, 24);
    }
    widest.current.upTo = lines.base + lines.length;
  }
  const {width} = widest.current;
  const today = new Date(now.peek()).toDateString();
  const hasDays = lines.length > 0 && (new Date(lines.at(0).ms).toDateString() !== today || new Date(lines.at(lines.length - 1).ms).toDateString() !== today);
  return useMemo(() => ({times: times.value, hasDays, source: whose, sourceWidth: width, showsColours: showsColours.value, pattern}),
    [times.value, hasDays, whose, width, showsColours.value, pattern, readsJson.value]);
}
