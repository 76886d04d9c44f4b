// The one table of screens. A screen is a file in screens/ and a row here: navigation, chords, the palette, titles and
// loading follow from it. pages.py has the same paths.

import {WORKER_TABS} from "./worker-tabs.mjs";

/**
 * @typedef {object} Screen
 * @property {string} path parts with a colon are given to the component as `params`
 * @property {string} title in the window's title, the palette and the navigation
 * @property {() => Promise<any>} load the module; its default export is the component, `({params}) => html`
 * @property {string} [icon] with it, it stands in the navigation
 * @property {string} [key] `g` and this key go there
 */
/** @type {Screen[]} In the order of the navigation. */
export const SCREENS = [
  {path: "/", title: "Overview", icon: "overview", key: "o", load: () => import("./screens/overview.mjs")},
  {path: "/workers", title: "Workers", icon: "workers", key: "w", load: () => import("./screens/workers.mjs")},
  {path: "/workers/:id", title: "Worker", load: () => import("./screens/worker.mjs")},
  {path: "/workers/:id/:tab", title: "Worker", load: () => import("./screens/worker.mjs")},
  {path: "/configuration", title: "Configuration", icon: "configuration", key: "c", load: () => import("./screens/configuration.mjs")},
  {path: "/configuration/new", title: "New worker", load: () => import("./screens/spec-editor.mjs")},
  {path: "/configuration/:id", title: "Spec", load: () => import("./screens/spec-editor.mjs")},
  {path: "/plan", title: "Plan", icon: "plan", key: "p", load: () => import("./screens/plan.mjs")},
  {path: "/logs", title: "Logs", icon: "logs", key: "l", load: () => import("./screens/logs.mjs")},
  {path: "/events", title: "Events", icon: "events", key: "e", load: () => import("./screens/events.mjs")},
  {path: "/batches", title: "Batches", icon: "batches", key: "b", load: () => import("./screens/batches.mjs")},
  {path: "/batches/:id", title: "Batch", load: () => import("./screens/batch.mjs")},
  {path: "/docs", title: "Docs", icon: "docs", key: "d", load: () => import("./screens/docs.mjs")},
  {path: "/docs/fields", title: "Fields", load: () => import("./screens/docs-fields.mjs")},
  {path: "/docs/:topic", title: "Docs", load: () => import("./screens/doc.mjs")},
  {path: "/api", title: "API", icon: "api", key: "a", load: () => import("./screens/api.mjs")},
  {path: "/settings", title: "Settings", icon: "settings", key: "s", load: () => import("./screens/settings.mjs")},
];

/** What has no row. */
export const NOT_FOUND = {path: "", title: "Not found", load: () => import("./screens/not-found.mjs")};

/** The screen of a path, and its parameters. @param {string} path @returns {{screen: Screen, params: Record<string, string>}} */
export function match(path) {
  for (const screen of SCREENS) {
    const params = fitting(screen.path, path);
    if (params) return {screen, params};
  }
  return {screen: NOT_FOUND, params: {}};
}

/** Whether a path is a screen, and its tab one: what is not there is offered nowhere. @param {string} path */
export function exists(path) {
  const {screen, params} = match(path);
  return screen !== NOT_FOUND && WORKER_TABS.some((one) => one.id === (params.tab ?? ""));
}

/** @param {string} pattern @param {string} path @returns {Record<string, string>|null} */
function fitting(pattern, path) {
  const [expected, given] = [pattern.split("/"), path.replace(/(.)\/$/, "$1").split("/")];
  if (expected.length !== given.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (let index = 0; index < expected.length; index += 1) {
    if (expected[index].startsWith(":")) params[expected[index].slice(1)] = decodeURIComponent(given[index]);
    else if (expected[index] !== given[index]) return null;
  }
  return params;
}
