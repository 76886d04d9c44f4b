// Events of one question: what is stored, page by page back from the newest, and what comes while they are looked at.
// And the folding of what repeats, which is pure.
import {useEffect, useRef, useState} from "./html.mjs";
import {get} from "./api.mjs";
import {onTopic} from "./stream.mjs";

const PAGE = 200;
const MOST = 5000;

/** @typedef {{workerId?: string, types: string[], actors: string[], upTo?: number}} Wanted `upTo`: none that came later */
/** @typedef {{events: any[]|null, error: any, hasMore: boolean, isPaging: boolean, older: () => void, again: () => void}} Told */

/**
 * The newest last. `events` is null until the first answer. @param {Wanted} wanted @returns {Told}
 */
export function useEventHistory(wanted) {
  const key = JSON.stringify(wanted);
  const [state, setState] = useState(/** @type {any} */ ({key, events: null, error: null, hasMore: false, isPaging: false}));
  const [turn, setTurn] = useState(0);
  const current = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const control = new AbortController();
    /** @type {any[]} */
    let early = [];
    let isThere = false;
    current.current = control;
    const take = (/** @type {any[]} */ items) => {
      const fitting = items.filter((one) => fits(one, wanted));
      if (!isThere) early.push(...fitting);
      else if (fitting.length) setState((/** @type {any} */ was) => ({...was, events: joined(was.events, fitting)}));
    };
    const stop = wanted.upTo === undefined ? onTopic("events", take) : () => {};
    setState((/** @type {any} */ was) => ({...was, key, events: was.key === key ? was.events : null, error: null}));
    get("/events", query(wanted), {signal: control.signal}).then(
      (page) => {
        isThere = true;
        setState({key, events: joined(page.items, early), error: null, hasMore: page.items.length >= PAGE, isPaging: false});
      },
      (error) => control.signal.aborted || setState((/** @type {any} */ was) => ({...was, error, isPaging: false})),
    );
    return () => {
      control.abort();
      stop();
    };
  }, [key, turn]);
  const older = () => {
    const control = current.current;
    const before = state.events?.[0]?.seq;
    if (before === undefined || state.isPaging) return;
    setState((/** @type {any} */ was) => ({...was, isPaging: true}));
    get("/events", {...query(wanted), before}, {signal: control.signal}).then(
      (page) => setState((/** @type {any} */ was) => ({
        ...was, events: [...page.items, ...was.events], hasMore: page.items.length >= PAGE, isPaging: false, error: null,
      })),
      (error) => control.signal.aborted || setState((/** @type {any} */ was) => ({...was, error, isPaging: false})),
    );
  };
  const mine = state.key === key ? state : {...state, events: null, hasMore: false};
  return {...mine, older, again: () => setTurn((/** @type {number} */ was) => was + 1)};
}

/** @param {Wanted} wanted */
const query = (wanted) => ({limit: PAGE, worker_id: wanted.workerId, type: wanted.types, actor: wanted.actors, before: wanted.upTo === undefined ? undefined : wanted.upTo + 1});

/** @param {any} event @param {Wanted} wanted */
const fits = (event, {workerId, types, actors}) =>
  (!workerId || event.worker_id === workerId) && (!types.length || types.includes(event.type)) &&
  (!actors.length || actors.includes(event.actor));

/** @param {any[]} known @param {any[]} more newer ones, perhaps some of them known */
function joined(known, more) {
  const last = known.length ? known[known.length - 1].seq : 0;
  return [...known, ...more.filter((one) => one.seq > last)].slice(-MOST);
}

const NEAR = 8;
const WITHIN_MS = 900_000;

/**
 * What repeats as one: the same thing of the same worker and instance again and again within a quarter of an hour, also
 * where a loop tells several things in turn. Figures in messages do not count (pids, durations).
 * @param {any[]} events the newest first
 * @returns {{event: any, events: any[], count: number}[]} the newest first; `count` has what was folded before it was stored
 */
export function folded(events) {
  /** @type {any[]} */
  const groups = [];
  for (const event of events) {
    const key = [event.type, event.worker_id, event.instance, event.actor, event.message.replace(/[0-9a-f]*[0-9][0-9a-f.-]*/g, "#")].join("\0");
    const at = Date.parse(event.at);
    const found = groups.slice(-NEAR).find((one) => one.key === key && one.at - at < WITHIN_MS);
    if (found) {
      found.events.push(event);
      found.at = at;
      found.count += repeatsOf(event);
    } else {
      groups.push({key, at, event, events: [event], count: repeatsOf(event)});
    }
  }
  return groups;
}

/** The agent tells a flood as one event with its counts. @param {any} event */
function repeatsOf(event) {
  if (event.type !== "repeated") return 1;
  const counts = Object.values(event.data.counts ?? {}).filter((value) => typeof value === "number");
  return counts.reduce((a, b) => a + b, 0) || 1;
}
