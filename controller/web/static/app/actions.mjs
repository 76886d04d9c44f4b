// Start, stop, restart: what each will do in words, its request, its command line, and what takes it back. Pure but for
// `carryOut`. The confirmation (parts/confirm.mjs) and all menus and bars show what stands here and nothing else.
import {asCurl, quoted, send} from "./api.mjs";
import {plural} from "./format.mjs";

/**
 * @typedef {object} Choices
 * @property {string} reason
 * @property {boolean} graceful
 * @property {number} forMs 0: for good, an edit of the spec
 * @property {number} parallel
 * @property {boolean} stopOnFailure
 */
/** @type {Choices} */
export const USUAL = {reason: "", graceful: true, forMs: 0, parallel: 4, stopOnFailure: false};

const VERBS = {start: "Start", stop: "Stop", restart: "Restart", resume: "Resume"};
/** @type {Record<string, string>} The action that takes one back. */
export const UNDO = {start: "stop", stop: "start"};

/**
 * What will happen. @param {"start"|"stop"|"restart"|"resume"} action @param {any[]} workers list items
 * @param {Choices} [choices]
 */
export function describe(action, workers, choices = USUAL) {
  const names = workers.map((one) => one.worker_id);
  const verb = VERBS[action];
  const title = names.length === 1 ? `${verb} ${names[0]}?` : `${verb} ${plural(names.length, "worker")}?`;
  return {
    title,
    verb: names.length === 1 ? verb : `${verb} ${plural(names.length, "worker")}`,
    isHarsh: action === "stop" || !choices.graceful,
    points: points(action, workers, choices),
    cli: commandLine(action, names, choices),
    curl: asCurl("POST", request(action, names, choices).path, request(action, names, choices)),
  };
}

/** @param {string} action @param {any[]} workers @param {Choices} choices @returns {string[]} */
function points(action, workers, choices) {
  const running = workers.reduce((sum, one) => sum + one.instances.filter(isUp).length, 0);
  const told = [];
  if (action === "restart") {
    told.push(
      running === 0
        ? "Nothing of it runs now: what is meant to run is tried anew."
        : running === 1
          ? "The one instance that runs now gets a new process."
          : `The ${running} instances that run now get a new process each, one after the other within a worker.`,
    );
    told.push("No spec changes. A worker that gave up tries again.");
  } else if (action === "stop") {
    told.push(running ? `${plural(running, "running instance")} will end.` : "Nothing of it runs now.");
    told.push(
      choices.forMs
        ? "No spec changes: when the time is over, the specs decide again."
        : `desired_state becomes stopped in ${files(workers)}. Nothing else in it changes.`,
    );
  } else if (action === "start") {
    const all = workers.reduce((sum, one) => sum + one.instances.length, 0);
    told.push(all > running || all === 0 ? "What does not run now is started." : "All of it runs already.");
    told.push(
      choices.forMs
        ? "No spec changes: when the time is over, the specs decide again."
        : `desired_state becomes running in ${files(workers)}. Nothing else in it changes.`,
    );
  } else {
    told.push("Nobody keeps it stopped or running any more: its spec decides.");
  }
  if (workers.length > 1) {
    told.push(`${choices.parallel} at a time${choices.stopOnFailure ? ", and none after one that fails" : ""}.`);
  }
  if (action !== "start" && action !== "resume" && !choices.graceful) {
    told.push("Processes are killed at once: no signal before, no time to finish.");
  }
  return told;
}

const isUp = (/** @type {any} */ one) => ["running", "starting"].includes(one.status);

/** @param {any[]} workers */
function files(workers) {
  const names = [...new Set(workers.map((one) => one.source.file).filter(Boolean))];
  return names.length === 1 ? names[0] : plural(names.length, "file");
}

/** @param {string} action @param {string[]} names @param {Choices} choices */
export function commandLine(action, names, choices) {
  const reason = choices.reason ? ` --reason ${quoted(choices.reason)}` : "";
  if (names.length > 1) {
    const flags = [
      ` --parallel ${choices.parallel}`,
      choices.stopOnFailure ? " --stop-on-failure" : "",
      choices.graceful ? "" : " --no-graceful",
    ];
    return `workerctl batch ${action} ${names.join(" ")}${flags.join("")}${reason}`;
  }
  if (choices.forMs && action === "stop") return `workerctl suspend ${names[0]} --for ${minutes(choices.forMs)}${reason}`;
  return `workerctl ${action} ${names.join(" ")}${reason}`;
}

/** @param {number} ms */
const minutes = (ms) => (ms % 3_600_000 === 0 ? `${ms / 3_600_000}h` : `${Math.round(ms / 60_000)}m`);

/** @param {string} action @param {string[]} names @param {Choices} choices */
export function request(action, names, choices) {
  if (names.length > 1) {
    const options = {graceful: choices.graceful, parallel: choices.parallel, stop_on_failure: choices.stopOnFailure};
    return {
      path: "/workers/batch",
      body: {action, worker_ids: names, options, ...(choices.reason && {reason: choices.reason})},
    };
  }
  return {
    path: `/workers/${names[0]}/${action}`,
    body: {
      ...(choices.reason && {reason: choices.reason}),
      ...(!choices.graceful && action !== "resume" && {graceful: false}),
      ...(choices.forMs && {for_ms: choices.forMs}),
    },
  };
}

/** Ask for it: an operation, or a batch of many. Raises ApiError. @param {string} action @param {string[]} names @param {Choices} choices */
export async function carryOut(action, names, choices) {
  const {path, body} = request(action, names, choices);
  return (await send("POST", path, body)).data;
}
