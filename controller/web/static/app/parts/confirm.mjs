// The one way to act on workers: says what will happen, takes a reason, shows the same as a command, does it, and tells
// how it ended; with what takes it back, where something does.
import {html, useState} from "../html.mjs";
import {carryOut, describe, UNDO, USUAL} from "../actions.mjs";
import {plural} from "../format.mjs";
import {oneLine} from "../text.mjs";
import {whenEnded} from "../store.mjs";
import {AsCommand} from "./copy.mjs";
import {closeDialog, Dialog, open} from "./dialog.mjs";
import {ErrorNotice, toast, toastError} from "./notice.mjs";

const PAST = {start: "started", stop: "stopped", restart: "restarted", resume: "resumed"};
const FOR = [[0, "For good: the spec is edited"], [900_000, "For 15 minutes"], [3_600_000, "For an hour"], [28_800_000, "For 8 hours"], [86_400_000, "For a day"]];

/** Ask, then act. @param {"start"|"stop"|"restart"|"resume"} action @param {any[]} workers @param {() => void} [done] */
export function confirmAction(action, workers, done) {
  open(html`<${Confirm} action=${action} workers=${workers} done=${done} />`);
}

/** @param {{action: any, workers: any[], done?: () => void}} props */
function Confirm({action, workers, done}) {
  const [choices, setChoices] = useState(USUAL);
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const told = describe(action, workers, choices);
  const set = (/** @type {any} */ changes) => setChoices((/** @type {any} */ was) => ({...was, ...changes}));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await perform(action, workers, choices);
      closeDialog();
      done?.();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${told.title}>
    <form onSubmit=${submit} id="confirm" class="stack">
      <ul class="points">${told.points.map((point) => html`<li key=${point}>${point}</li>`)}</ul>
      ${workers.length > 1 && html`<p class="names">${workers.slice(0, 12).map((one) => html`<span class="tag" key=${one.worker_id}>${one.worker_id}</span>`)}
        ${workers.length > 12 && html`<span class="muted">and ${workers.length - 12} more</span>`}</p>`}
      <label class="field"><span>Reason <small>kept with the event; may stay empty</small></span>
        <input name="reason" maxlength="500" autocomplete="off" autofocus value=${choices.reason}
          onInput=${(/** @type {any} */ event) => set({reason: event.target.value})} /></label>
      <${Options} action=${action} many=${workers.length > 1} choices=${choices} set=${set} />
      <${ErrorNotice} error=${error} />
      <${AsCommand} cli=${told.cli} curl=${told.curl} />
      <div class="form-foot">
        <button type="button" class="button" onClick=${closeDialog}>Cancel</button>
        <button type="submit" class=${`button primary ${told.isHarsh ? "harsh" : ""}`} disabled=${isBusy}>${told.verb}</button>
      </div>
    </form>
  <//>`;
}

/** @param {{action: string, many: boolean, choices: any, set: (changes: any) => void}} props */
function Options({action, many, choices, set}) {
  if (action === "resume") return null;
  const check = (/** @type {string} */ name, /** @type {any} */ text, /** @type {boolean} */ isOn, /** @type {any} */ change) => html`<label class="check">
    <input type="checkbox" name=${name} checked=${isOn} onChange=${(/** @type {any} */ event) => set(change(event.target.checked))} />${text}</label>`;
  return html`<div class="options">
    ${!many && action !== "restart" && html`<label class="field"><span>How long</span><select name="for" value=${choices.forMs}
      onChange=${(/** @type {any} */ event) => set({forMs: Number(event.target.value)})}>
      ${FOR.map(([ms, text]) => html`<option key=${ms} value=${ms}>${text}</option>`)}</select></label>`}
    ${many && html`<label class="field inline"><span>At a time</span><input type="number" name="parallel" min="1" max="100" value=${choices.parallel}
      onInput=${(/** @type {any} */ event) => set({parallel: Math.min(100, Math.max(1, Number(event.target.value) || 1))})} /></label>`}
    ${many && check("stop_on_failure", "Begin no further one once one failed", choices.stopOnFailure, (/** @type {boolean} */ on) => ({stopOnFailure: on}))}
    ${action !== "start" && check("kill", "Kill at once instead of asking first", !choices.graceful, (/** @type {boolean} */ on) => ({graceful: !on}))}
  </div>`;
}

/** @param {any} action @param {any[]} workers @param {any} choices */
async function perform(action, workers, choices) {
  const names = workers.map((one) => one.worker_id);
  const accepted = await carryOut(action, names, choices);
  if (names.length > 1) {
    toast({
      tone: "info", href: `/batches/${accepted.batch_id}`,
      text: html`<strong>${plural(names.length, "worker")}</strong> ${names.length === 1 ? "is" : "are"} being ${PAST[/** @type {"stop"} */ (action)]}.`,
    });
    return;
  }
  const undo = choices.forMs ? "resume" : UNDO[action];
  const tell = toast({
    text: html`<strong>${names[0]}</strong> is being ${PAST[/** @type {"stop"} */ (action)]}.`,
    action: undo && {label: "Undo", run: () => carryOut(undo, names, USUAL).catch(toastError)},
  });
  whenEnded(accepted).then((ended) => {
    const isGood = ended.state === "succeeded";
    tell({
      tone: isGood ? "good" : ended.state === "failed" ? "bad" : "info",
      text: html`<strong>${names[0]}</strong> ${isGood ? PAST[/** @type {"stop"} */ (action)] : `${action} ${ended.state}`}${ended.detail && html`: ${oneLine(ended.detail)}`}`,
    });
  });
}
