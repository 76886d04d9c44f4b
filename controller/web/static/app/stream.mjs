// The one EventSource of a tab. What comes is put into the store, once per frame however much it is; screens read
// signals and never open a stream of their own. Closed half a minute after the tab is hidden, and resumed by its cursor.
import {signal} from "./html.mjs";
import {learnWho, needsLogin} from "./session.mjs";
import {serverNow} from "./time.mjs";

const TOPICS = ["events", "workers", "operations", "batches", "plan"];
const SILENT_MS = 20_000;
const HIDDEN_MS = 30_000;
const SETTLED_MS = 400;

/** "connecting" at the start, then "live", "reconnecting", or "paused" (the tab is hidden). */
export const connection = signal("connecting");
/** When the controller was last heard, in its own milliseconds. */
export const heardAt = signal(serverNow());
/** Whether the first snapshot has come: only then is "there are no workers" true. */
export const loaded = signal(false);

/** @typedef {(items: any[]) => void} Taker */
/** @type {Map<string, Set<Taker>>} */
const takers = new Map([...TOPICS, "begin", "settled"].map((topic) => [topic, new Set()]));

/** Called for each portion of a topic; "begin" and "settled" frame the snapshot of a new connection. @param {string} topic @param {Taker} taker */
export function onTopic(topic, taker) {
  takers.get(topic)?.add(taker);
  return () => takers.get(topic)?.delete(taker);
}

/** @type {EventSource|null} */
let source = null;
let lastId = "";
let attempts = 0;
/** @type {any} */
let retryTimer, settleTimer, hideTimer;
/** @type {[string, any][]} */
let waiting = [];
let isScheduled = false;

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  if (document.hidden) setTimeout(flush, 200);
  else requestAnimationFrame(flush);
}

function flush() {
  isScheduled = false;
  const portions = new Map();
  for (const [topic, item] of waiting) {
    if (!portions.has(topic)) portions.set(topic, []);
    portions.get(topic).push(item);
  }
  waiting = [];
  for (const [topic, items] of portions) tell(topic, items);
  if (portions.has("workers")) loaded.value = true;
  if (settleTimer) settleSoon();
}

/** @param {string} topic @param {any[]} items */
function tell(topic, items) {
  for (const taker of takers.get(topic) ?? []) taker(items);
}

function settleSoon() {
  clearTimeout(settleTimer);
  settleTimer = setTimeout(() => {
    settleTimer = undefined;
    tell("settled", []);
    loaded.value = true;
  }, SETTLED_MS);
}

export function connect() {
  clearTimeout(retryTimer);
  source?.close();
  if (needsLogin.value) return;
  const after = lastId ? `&after=${encodeURIComponent(lastId)}` : "";
  source = new EventSource(`/api/v1/stream?topics=${TOPICS.join(",")}${after}`);
  source.addEventListener("hello", () => {
    heard();
    attempts = 0;
    connection.value = "live";
    tell("begin", []);
    settleSoon();
  });
  for (const topic of TOPICS) {
    source.addEventListener(topic, (event) => {
      lastId = event.lastEventId || lastId;
      heard();
      waiting.push([topic, JSON.parse(event.data)]);
      schedule();
    });
  }
  source.onerror = lost;
}

function heard() {
  heardAt.value = serverNow();
  if (connection.value === "reconnecting") connection.value = "live";
}

/** Refused or broken off. The browser would try again by itself after some errors, and never after others. */
async function lost() {
  source?.close();
  if (connection.value !== "paused") connection.value = "reconnecting";
  const isIn = await learnWho().catch(() => null);
  if (isIn === false && needsLogin.value) return;
  if (isIn) attempts = Math.min(attempts, 2);
  attempts += 1;
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, Math.min(10_000, 250 * 2 ** attempts) * (0.75 + Math.random() / 2));
}

/** Silence is normal where nothing changes, but it may be a dead line: so ask, and believe the answer. */
setInterval(async () => {
  if (connection.value !== "live" || serverNow() - heardAt.value < SILENT_MS) return;
  const answer = await fetch("/readyz", {cache: "no-store", signal: AbortSignal.timeout(8000)}).catch(() => null);
  if (answer) heard();
  else lost();
}, 5000);

document.addEventListener("visibilitychange", () => {
  clearTimeout(hideTimer);
  if (document.hidden) {
    hideTimer = setTimeout(() => {
      source?.close();
      clearTimeout(retryTimer);
      connection.value = "paused";
    }, HIDDEN_MS);
  } else if (connection.value === "paused") {
    connection.value = "reconnecting";
    connect();
  }
});
