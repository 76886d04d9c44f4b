// The one client of /api/v1. Errors of the API are ApiError, with everything it said; parts/notice.mjs shows them.
import {heardTime} from "./time.mjs";
import {mustLogIn} from "./session.mjs";

/** What the API refused, or that it could not be asked. `errors`: `{message, hint, file, line, column, pointer}`. */
export class ApiError extends Error {
  /** @param {number} status 0 where nobody answered @param {any} problem @param {Response} [response] */
  constructor(status, problem, response) {
    super(problem.detail || problem.title || `the controller answered ${status}`);
    this.status = status;
    this.code = problem.code ?? "";
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id ?? "";
    this.problem = problem;
    this.etag = response?.headers.get("ETag") ?? "";
    this.retryAfterS = Number(response?.headers.get("Retry-After") ?? 0);
  }
}

/**
 * @typedef {object} Asked
 * @property {unknown} [body] sent as JSON
 * @property {string} [text] sent as YAML
 * @property {Record<string, any>} [query] undefined, null and "" are left out; arrays are repeated
 * @property {Record<string, string>} [headers] an empty one is not sent
 * @property {AbortSignal} [signal]
 */

/** The path with its query. @param {string} path @param {Record<string, any>} [query] */
export function address(path, query = {}) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") params.append(name, String(one));
    }
  }
  const text = params.toString();
  return `/api/v1${path}${text ? `?${text}` : ""}`;
}

/** @param {string} method @param {string} path below /api/v1 @param {Asked} [asked] @returns {Promise<Response>} */
export async function ask(method, path, asked = {}) {
  const headers = {Accept: "application/json", ...asked.headers};
  if (asked.body !== undefined) headers["Content-Type"] ??= "application/json";
  if (asked.text !== undefined) headers["Content-Type"] = "application/yaml";
  if (method === "POST") headers["Idempotency-Key"] ??= randomKey();
  let response;
  try {
    response = await fetch(address(path, asked.query), {
      method,
      headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== "")),
      body: asked.text ?? (asked.body === undefined ? undefined : JSON.stringify(asked.body)),
      signal: asked.signal,
      cache: "no-store",
    });
  } catch (error) {
    if (asked.signal?.aborted) throw error;
    throw new ApiError(0, {detail: "the controller cannot be reached", code: "unreachable"});
  }
  heardTime(response.headers.get("Date"));
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({detail: response.statusText}));
  if (response.status === 401) mustLogIn();
  throw new ApiError(response.status, problem, response);
}

/** @param {string} path @param {Record<string, any>} [query] @param {Asked} [asked] @returns {Promise<any>} */
export async function get(path, query, asked = {}) {
  return (await ask("GET", path, {...asked, query})).json();
}

/**
 * A write. `data` is null where there is no content; `etag` as it was sent.
 * @param {string} method @param {string} path @param {unknown} [body] @param {Asked} [asked]
 */
export async function send(method, path, body, asked = {}) {
  const response = await ask(method, path, {...asked, body});
  const data = response.status === 204 ? null : await response.json();
  return {data, status: response.status, etag: response.headers.get("ETag") ?? ""};
}

/**
 * All items of a list, page by page. @param {string} path @param {Record<string, any>} [query]
 * @returns {Promise<any[]>}
 */
export async function getAll(path, query = {}) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(path, {limit: 1000, ...query, cursor});
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return items;
}

/**
 * Follow a list as NDJSON until `signal` is aborted (log lines of one screen; states come from the stream). Items come
 * in the portions in which they arrive. @param {string} path @param {Record<string, any>} query
 * @param {(items: any[]) => void} take @param {AbortSignal} signal
 */
export async function follow(path, query, take, signal) {
  const asked = {query: {...query, follow: 1}, headers: {Accept: "application/x-ndjson"}, signal};
  const response = await ask("GET", path, asked);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    const items = lines.filter(Boolean).map((line) => JSON.parse(line));
    if (items.length) take(items);
  }
}

/** The same request as a person would type it. @param {string} method @param {string} path @param {Asked} [asked] */
export function asCurl(method, path, asked = {}) {
  const parts = ["curl"];
  if (method !== "GET") parts.push("-X", method);
  parts.push(quoted(location.origin + address(path, asked.query)));
  for (const [name, value] of Object.entries(asked.headers ?? {})) parts.push("-H", quoted(`${name}: ${value}`));
  if (asked.body !== undefined) {
    parts.push("-H", quoted("Content-Type: application/json"), "-d", quoted(JSON.stringify(asked.body)));
  }
  return parts.join(" ");
}

/** For a shell. @param {string} text */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
