// Where the page is: History API, one signal. Every place is an `<a href>`; a click on one of ours is answered here, all
// others (another button, a modifier, a target, a download) are the browser's.
import {signal, useEffect} from "./html.mjs";

const read = () => ({path: location.pathname, query: new URLSearchParams(location.search), hash: location.hash});

/** @type {import("./html.mjs").Signal<{path: string, query: URLSearchParams, hash: string}>} */
export const place = signal(read());

/** Why the place may not be left now: asked before each move. @type {Set<() => string|null>} */
const reasonsToStay = new Set();

/** @param {string} href of our own @param {{replace?: boolean, keepScroll?: boolean}} [how] */
export function go(href, how = {}) {
  const target = new URL(href, location.href);
  if (target.pathname !== location.pathname && !mayLeave()) return;
  const changes = target.href !== location.href;
  if (changes) history[how.replace ? "replaceState" : "pushState"](null, "", target);
  place.value = read();
  if (changes && !how.replace && !how.keepScroll) scrollTo(0, 0);
}

function mayLeave() {
  for (const reason of reasonsToStay) {
    const text = reason();
    if (text && !confirm(text)) return false;
  }
  return true;
}

/** The current place with some parameters changed: `undefined`, null, "" and [] take one away. @param {Record<string, any>} changes */
export function withQuery(changes) {
  const query = new URLSearchParams(place.value.query);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") query.append(name, String(one));
    }
  }
  const text = query.toString();
  return place.value.path + (text ? `?${text}` : "");
}

/** Change parameters in place: what is typed into a filter makes no history. @param {Record<string, any>} changes */
export const setQuery = (changes) => go(withQuery(changes), {replace: true, keepScroll: true});

/** While `reason` returns a text, leaving the screen asks first. @param {() => string|null} reason */
export function useStay(reason) {
  useEffect(() => {
    const ask = (/** @type {BeforeUnloadEvent} */ event) => reason() && event.preventDefault();
    reasonsToStay.add(reason);
    addEventListener("beforeunload", ask);
    return () => {
      reasonsToStay.delete(reason);
      removeEventListener("beforeunload", ask);
    };
  }, [reason]);
}

const NOT_OURS = /^\/(api\/v1|static|metrics|healthz|readyz)(\/|$)/;

addEventListener("popstate", () => {
  place.value = read();
});
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
    return;
  }
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
  if (link.origin !== location.origin || NOT_OURS.test(link.pathname)) return;
  if (link.pathname === location.pathname && link.search === location.search && link.hash) return;
  event.preventDefault();
  go(link.href);
});
