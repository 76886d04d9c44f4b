// A log with all that belongs to it: filters, the list, what it says of itself, the opened line, and its keys. The tab of
// a worker and the screen of all are this with other choices.
import {cls, html, useEffect, useMemo, useRef, useState} from "../html.mjs";
import {count, plural} from "../format.mjs";
import {useKeys} from "../keys.mjs";
import {clockShort, readsJson, wraps} from "../log-look.mjs";
import {apiQuery, asked as readAsked, FILTERS, isFiltered, patternOf} from "../log-query.mjs";
import {LogSource} from "../log-source.mjs";
import {place, setQuery, withQuery} from "../router.mjs";
import {connection} from "../stream.mjs";
import {now, serverNow} from "../time.mjs";
import {Empty} from "./empty.mjs";
import {ErrorNotice} from "./notice.mjs";
import {Icon} from "./icon.mjs";
import {closeLine, LogDetail} from "./log-detail.mjs";
import {countOf, LogFilters} from "./log-filters.mjs";
import {LogHistogram} from "./log-histogram.mjs";
import {LogMenus} from "./log-menus.mjs";
import {written} from "./log-row.mjs";
import {LogView} from "./log-view.mjs";

const TYPING_MS = 250;
const SCAN_MS = 150;

/**
 * @param {{path: string, id?: string, whose: "none"|"instance"|"worker", children?: any, empty: any, isAll?: boolean, label: string}} props
 *   `children`: choices of its own; `empty`: what to say where nothing was printed yet
 */
export function LogPanel({path, id, whose, children, empty, isAll = false, label}) {
  const asked = readAsked();
  const at = Number(place.value.query.get("at")) || null;
  const source = useSource(path, asked, at);
  const version = source.version.value;
  const {pattern, fault} = usePattern(asked);
  const hand = useRef(/** @type {any} */ (null));
  const [isFollowing, setFollowing] = useState(true);
  const matches = useMatches(source, asked.q ? pattern : null, version);
  const [current, setCurrent] = useState(/** @type {number|null} */ (null));
  useEffect(() => setCurrent(null), [source, pattern]);

  const toEnd = () => {
    if (at) closeLine();
    hand.current?.toEnd();
  };
  const step = (/** @type {1|-1} */ by) => {
    if (!matches.length) return;
    const here = current === null ? -1 : matches.indexOf(current);
    const next = matches[here < 0 ? (by > 0 ? 0 : matches.length - 1) : (here + by + matches.length) % matches.length];
    setCurrent(next);
    hand.current?.toId(next);
  };
  const latest = useRef({step, toEnd, isFollowing});
  latest.current = {step, toEnd, isFollowing};
  useKeys([
    {keys: "f", does: "Follow, or stay here", group: "Logs", run: () => (hand.current?.isFollowing() ? hand.current.stay() : latest.current.toEnd())},
    {keys: "w", does: "Wrap long lines", group: "Logs", run: () => {
      wraps.value = !wraps.value;
    }},
    {keys: "n", does: "Next match", group: "Logs", run: () => latest.current.step(1)},
    {keys: "N", does: "Match before", group: "Logs", run: () => latest.current.step(-1)},
  ]);
  const onClick = (/** @type {any} */ event) => {
    const row = event.target.closest?.(".log-row");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey || event.button || !getSelection()?.isCollapsed) return;
    event.preventDefault();
    const chosen = Number(row.dataset.id);
    setQuery({at: chosen === at && !event.target.closest(".log-time") ? null : chosen});
  };
  const line = at ? source.lines.at(Math.max(0, source.lines.indexOf(at))) : null;
  const opened = line && line.id === at ? line : null;
  const isEmpty = source.state === "ready" && source.lines.length === 0;
  const filters = FILTERS.filter((name) => name !== "q" && !(name === "worker" && !isAll) && !(name === "selector" && !isAll));
  return html`<div class="logs">
    <${LogFilters} asked=${asked} fault=${fault} count=${countOf(filters)} matches=${asked.q && !fault && html`<${Matches} asked=${asked} matches=${matches} source=${source} current=${current} step=${step} />`}>${children}<//>
    ${isAll && html`<${LogHistogram} source=${source} />`}
    ${source.error && source.state !== "error" && html`<${ErrorNotice} error=${source.error} />`}
    ${at && source.state === "ready" && !opened && html`<p class="log-absent" role="status">The line of this link is not among these: it was removed, or the filters leave it out. ${isFiltered(asked) && html`<a href=${without(at)}>Without filters</a>`}</p>`}
    <div class="log-panel card" onClick=${onClick}>
      <header class="log-bar">
        <button class="button small" aria-pressed=${isFollowing && !asked.until} disabled=${Boolean(asked.until)} title=${asked.until ? "What has ended is not followed" : "Stay at the newest line (f)"}
          onClick=${() => (isFollowing ? hand.current?.stay() : toEnd())}><span class=${cls("log-live", isFollowing && source.follows === "live" && "is-on")} aria-hidden="true"></span>Follow</button>
        <span class="log-said">${said(source, asked)}</span>
        <${LogMenus} source=${source} asked=${asked} path=${path} id=${id} />
      </header>
      <div class="log-place">
        <${LogView} source=${source} pattern=${pattern} whose=${whose} chosen=${at} current=${current} label=${label} hand=${hand} onFollow=${setFollowing} toEnd=${toEnd} />
        ${source.state === "error" && html`<div class="log-over"><${ErrorNotice} error=${source.error} retry=${() => source.open(at ?? undefined)} /></div>`}
        ${isEmpty && html`<div class="log-over">${nothing(source, asked, empty)}</div>`}
      </div>
    </div>
    ${opened && html`<${LogDetail} line=${opened} isFiltered=${isFiltered(asked)} isAll=${isAll} />`}
  </div>`;
}

/** The source of this question: another one is asked when somebody stopped typing. @param {string} path @param {any} asked @param {number|null} at */
function useSource(path, asked, at) {
  const filters = {...asked, ...(asked.isFilter ? {} : {q: ""}), isPattern: false, ...(asked.isFilter && asked.q ? {} : {matchCase: false, invert: false, isFilter: true})};
  const key = JSON.stringify([path, filters, readsJson.value]);
  const [settled, settle] = useState(key);
  useEffect(() => {
    if (key === settled) return undefined;
    const timer = setTimeout(settle, TYPING_MS, key);
    return () => clearTimeout(timer);
  }, [key, settled]);
  const source = useMemo(() => {
    const [to, question, parsed] = JSON.parse(settled);
    return new LogSource(to, apiQuery(question, serverNow(), {parsed}));
  }, [settled]);
  useEffect(() => {
    source.open(at ?? undefined);
    return () => source.close();
  }, [source]);
  useEffect(() => {
    if (at && source.state === "ready" && source.lines.indexOf(at) < 0) source.open(at);
  }, [at]);
  const isBack = connection.value === "live";
  useEffect(() => {
    if (isBack && source.state === "error") source.open(at ?? undefined);
  }, [isBack]);
  return source;
}

/** @param {any} asked */
function usePattern(asked) {
  return useMemo(() => patternOf(asked), [asked.q, asked.matchCase, asked.invert, asked.isPattern]);
}

/** The ids of lines that match, of those that are loaded. @param {LogSource} source @param {RegExp|null} pattern @param {number} version @returns {number[]} */
function useMatches(source, pattern, version) {
  const [found, setFound] = useState(/** @type {number[]} */ ([]));
  const timer = useRef(/** @type {any} */ (0));
  const latest = useRef(pattern);
  latest.current = pattern;
  useEffect(() => () => {
    clearTimeout(timer.current);
    timer.current = 0;
  }, [source]);
  useEffect(() => {
    // Not put off by each line that comes: at most so often, and always once more at the end.
    timer.current ||= setTimeout(() => {
      timer.current = 0;
      setFound(latest.current ? matching(source, latest.current) : []);
    }, SCAN_MS);
  }, [source, pattern, version]);
  return found;
}

/** @param {LogSource} source @param {RegExp} pattern */
function matching({lines}, pattern) {
  const once = new RegExp(pattern.source, pattern.flags.replace("g", ""));
  const ids = [];
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines.at(index);
    if (once.test(written(line))) ids.push(line.id);
  }
  return ids;
}

/** @param {{asked: any, matches: number[], source: LogSource, current: number|null, step: (by: 1|-1) => void}} props */
function Matches({asked, matches, source, current, step}) {
  const here = current === null ? -1 : matches.indexOf(current);
  if (asked.invert) return null;
  const words = `${here >= 0 ? `${count(here + 1)} of ` : ""}${count(matches.length)}${matches.length === source.lines.length ? "" : ` in ${count(source.lines.length)}`}`;
  return html`<span class="log-matches"><span role="status">${words} <span class="unseen">lines that match</span></span>
    <button class="button small icon-only plain up" aria-label="Match before" title="Match before (N)" disabled=${!matches.length} onClick=${() => step(-1)}><${Icon} name="down" /></button>
    <button class="button small icon-only plain" aria-label="Next match" title="Next match (n)" disabled=${!matches.length} onClick=${() => step(1)}><${Icon} name="down" /></button></span>`;
}

/** How many lines there are, from when, and how far was looked. @param {LogSource} source @param {any} asked */
function said(source, asked) {
  const {lines} = source;
  if (source.state === "loading") return "Loading\u2026";
  if (source.state === "error") return "";
  const isSearch = isFiltered(asked);
  const parts = [plural(lines.length, isSearch ? "matching line" : "line")];
  const since = lines.length ? clockShort(lines.at(0).ms, now.value) : "";
  const more = html`<button class="link" disabled=${source.isLoading} onClick=${() => source.loadOlder()}>${source.isLoading ? "loading\u2026" : isSearch ? "search on" : "load older"}</button>`;
  if (source.older === null) parts.push(isSearch ? "all that is kept was searched" : "from the first that is kept");
  else if (isSearch) parts.push(html`searched back to ${source.searchedTo ? clockShort(source.searchedTo, now.value) : since || "\u2026"}${source.stoppedEarly && !source.isLoading && ", and stopped there"}, ${more}`);
  else parts.push(html`back to ${since}, ${more}`);
  if (source.removed) parts.push(source.removed.lines ? `${plural(source.removed.lines, "older line")} no longer kept` : "older lines are no longer kept");
  if (source.follows === "broken") parts.push(html`<strong class="log-broken">broken off, trying again</strong>`);
  return parts.map((part, index) => html`<span key=${index}>${part}</span>`);
}

/** @param {LogSource} source @param {any} asked @param {any} empty */
function nothing(source, asked, empty) {
  if (source.older !== null) return html`<${Empty} title=${source.isLoading ? "Searching older lines\u2026" : "Nothing found so far"}
    actions=${!source.isLoading && html`<button class="button" onClick=${() => source.loadOlder()}>Search on</button>`}>${source.searchedTo ? `Searched back to ${clockShort(source.searchedTo, now.value)}.` : "Searching from the newest line back."}<//>`;
  const none = Object.fromEntries([...FILTERS, "invert", "case", "at"].map((name) => [name, null]));
  if (!isFiltered(asked)) return empty;
  return html`<${Empty} title="No line matches" actions=${html`<a class="button" href=${withQuery(none)}>Clear filters</a>`}>All lines that are kept were searched. ${asked.until ? "" : "What comes and matches appears here."}<//>`;
}

/** @param {number} at */
const without = (at) => withQuery({...Object.fromEntries([...FILTERS, "invert"].map((name) => [name, null])), at});
