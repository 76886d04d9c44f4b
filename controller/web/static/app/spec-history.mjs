// What became of a worker's spec, page by page, the newest first, and anew when something of it happens; and what is told
// of it in words, which is pure.
import {computed, useEffect, useMemo, useState} from "./html.mjs";
import {get} from "./api.mjs";
import {plural} from "./format.mjs";
import {happened} from "./store.mjs";

const PAGE = 25;
const RELEVANT = /^spec_|_ordered$|^gave_up$/;

/** @param {string} id @returns {{items: any[]|null, error: any, hasMore: boolean, isPaging: boolean, older: () => void, again: () => void}} */
export function useSpecHistory(id) {
  const [state, setState] = useState(/** @type {any} */ ({id: "", items: null, cursor: null, error: null, isPaging: false}));
  const [turn, setTurn] = useState(0);
  const news = useMemo(() => computed(() => happened.value.filter((one) => one.worker_id === id && RELEVANT.test(one.type)).length), [id]).value;
  useEffect(() => {
    const control = new AbortController();
    get(`/worker-configs/${id}/history`, {limit: PAGE}, {signal: control.signal}).then(
      (page) => setState((/** @type {any} */ was) => {
        const seen = new Set(page.items.map((/** @type {any} */ one) => one.seq));
        const older = was.id === id && was.items?.length > PAGE ? was.items.filter((/** @type {any} */ one) => !seen.has(one.seq) && one.seq < page.items.at(-1)?.seq) : [];
        return {id, items: [...page.items, ...older], cursor: older.length ? was.cursor : page.next_cursor, error: null, isPaging: false};
      }),
      (error) => control.signal.aborted || setState((/** @type {any} */ was) => ({...was, id, items: was.id === id ? was.items : null, error})),
    );
    return () => control.abort();
  }, [id, turn, news]);
  const mine = state.id === id ? state : {items: null, cursor: null, error: null, isPaging: false};
  const older = () => {
    setState((/** @type {any} */ was) => ({...was, isPaging: true}));
    get(`/worker-configs/${id}/history`, {limit: PAGE, cursor: mine.cursor}).then(
      (page) => setState((/** @type {any} */ was) => ({...was, items: [...was.items, ...page.items], cursor: page.next_cursor, isPaging: false})),
      (error) => setState((/** @type {any} */ was) => ({...was, error, isPaging: false})),
    );
  };
  return {items: mine.items, error: mine.error, hasMore: mine.cursor !== null, isPaging: mine.isPaging, older, again: () => setTurn(turn + 1)};
}

/** Several refusals in a row are one: a person saves a file often. @param {any[]} items the newest first @returns {any[][]} */
export function grouped(items) {
  /** @type {any[][]} */
  const groups = [];
  for (const one of items) {
    const last = groups.at(-1);
    if (last && one.kind === "rejected" && last[0].kind === "rejected") last.push(one);
    else groups.push([one]);
  }
  return groups;
}

/** A write through the API and its commit are this near to each other; another one has the same content from before. */
const ITS_COMMIT_MS = 120_000;

/** Who, and why, in words. @param {any} one @returns {{who: string, how: string, why: string, more: string}} */
export function authorOf(one) {
  const [first, ...rest] = (one.commit?.message ?? "").split("\n");
  const body = rest.join("\n").trim();
  if (one.actor) {
    const isItsCommit = one.commit && Math.abs(Date.parse(one.commit.at) - Date.parse(one.at)) < ITS_COMMIT_MS;
    return {who: one.actor, how: isItsCommit ? "through the API, committed" : "through the API", why: one.reason || (isItsCommit ? first : ""), more: isItsCommit ? body : ""};
  }
  if (one.commit) return {who: one.commit.author, how: "in git", why: first, more: body};
  return {who: "", how: "", why: "", more: ""};
}

/** What the loop did, in the order in which it is told. @type {Record<string, string>} */
const DID = {
  replace: "replaced", restart: "restarted", create: "created", start: "started", stop: "stopped", update: "updated in place", remove: "removed",
};

/** What came of it: "replaced web/0 and web/1". @param {any} one @returns {string[]} */
export function outcomeOf(one) {
  return Object.keys(DID).filter((name) => one.orders[name]).map((name) => `${DID[name]} ${some(one.orders[name])}`);
}

/** @param {string[]} names */
export const some = (names) => (names.length > 4 ? plural(names.length, "instance") : names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0]);
