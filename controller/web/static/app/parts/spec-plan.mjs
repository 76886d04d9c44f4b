// What an edit would bring, in the words of the plan: which processes start, stop, are replaced or go on, and why.
import {html} from "../html.mjs";
import {plural} from "../format.mjs";
import {visible} from "../text.mjs";
import {Tag} from "./badge.mjs";
import {FieldChanges} from "./field-changes.mjs";
import {sentence, withCode} from "./why.mjs";

/** @type {Record<string, [string, string, (who: string, many: boolean) => string]>} Tag, its tone, a sentence. */
const WORDS = {
  create: ["start", "good", (who, many) => `${who} ${many ? "are" : "is"} started.`],
  start: ["start", "good", (who, many) => `${who} ${many ? "are" : "is"} started.`],
  stop: ["stop", "warn", (who, many) => `${who} ${many ? "are" : "is"} stopped.`],
  replace: ["replace", "warn", (who, many) => `${who} ${many ? "are" : "is"} stopped and started anew, as the spec says then.`],
  restart: ["restart", "warn", (who, many) => `${who} ${many ? "are" : "is"} restarted.`],
  update: ["in place", "", (who, many) => `${who} ${many ? "go" : "goes"} on running; the change counts from the next decision on.`],
  remove: ["remove", "bad", (who, many) => `${who} ${many ? "are" : "is"} stopped and removed.`],
};

/** Each order once, with all instances that it is for. @param {any} plan @returns {{action: string, instances: string[], cause: string, fields: any[]}[]} */
export function ordersOf(plan) {
  const found = new Map();
  for (const one of plan.actions) {
    const key = JSON.stringify([one.action, one.cause, one.fields]);
    if (!found.has(key)) found.set(key, {...one, instances: []});
    found.get(key).instances.push(one.instance ?? one.worker_id);
  }
  for (const one of found.values()) one.instances.sort((/** @type {string} */ a, /** @type {string} */ b) => a.localeCompare(b, "en", {numeric: true}));
  return [...found.values()];
}

/** What will happen, one sentence each. @param {any} plan @param {boolean} isChanged @returns {string[]} */
export function consequences(plan, isChanged) {
  const orders = ordersOf(plan).map((one) => WORDS[one.action]?.[2](names(one.instances), one.instances.length > 1) ?? `${one.action}: ${names(one.instances)}`);
  const held = plan.holds.map((/** @type {any} */ one) => sentence(visible(one.message)));
  if (orders.length + held.length > 0) return [...new Set([...orders, ...held])];
  return [isChanged ? "No process is touched by it." : "Nothing changes: the file says this already."];
}

/** @param {string[]} instances */
const names = (instances) => (instances.length > 4 ? `${instances.slice(0, 3).join(", ")} and ${instances.length - 3} more` : instances.join(", "));

/** @param {{plan: any, isChanged: boolean}} props */
export function SpecPlan({plan, isChanged}) {
  const orders = ordersOf(plan);
  const fields = orders.flatMap((one) => one.fields).length + plan.holds.flatMap((/** @type {any} */ one) => one.fields).length;
  if (orders.length + plan.holds.length === 0) return html`<p class="muted">${consequences(plan, isChanged)[0]}</p>`;
  return html`<ul class="conf-orders">${orders.map((one, index) => html`<li key=${index}>
      <p class="conf-order"><${Tag} tone=${WORDS[one.action]?.[1]}>${WORDS[one.action]?.[0] ?? one.action}<//>
        <span><strong>${names(one.instances)}</strong> <span class="muted">${withCode(visible(one.cause))}</span></span></p>
      ${one.fields.length > 0 && html`<${FieldChanges} fields=${one.fields} />`}</li>`)}
    ${plan.holds.map((/** @type {any} */ one, /** @type {number} */ index) => html`<li key=${`held ${index}`}><p class="conf-order"><${Tag} tone="held">waits<//>
      <span>${withCode(sentence(visible(one.message)))}</span></p>${one.fields.length > 0 && html`<${FieldChanges} fields=${one.fields} />`}</li>`)}
  </ul>${fields > 6 && html`<p class="muted">${plural(fields, "field")} in all.</p>`}`;
}
