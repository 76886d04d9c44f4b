// A guard holds a large change back until a person says that it is meant: what will happen then, and the same as commands.
import {html, useState} from "../html.mjs";
import {asCurl, send} from "../api.mjs";
import {plural} from "../format.mjs";
import {withCode, sentence} from "./why.mjs";
import {AsCommand} from "./copy.mjs";
import {closeDialog, Dialog, open} from "./dialog.mjs";
import {ErrorNotice, toast} from "./notice.mjs";

/** @param {any[]} holds all that one digest lets happen */
export function confirmHold(holds) {
  open(html`<${Confirm} holds=${holds} />`);
}

/** What a guard is about. @type {Record<string, [string, string]>} */
const OF = {
  MassRestartGuard: ["Restart them?", "Their processes are replaced by new ones, each once its new revision can start; of one worker's instances one after the other."],
  NoSpec: ["Remove them?", "They are known from before and no spec is found for them. Their processes end, and they are forgotten."],
  SourceHeld: ["Take the specs as they are now?", "Workers whose specs are gone are removed: their processes end, each in its own time."],
  PruneGuard: ["Remove them?", "Their processes end, each in its own time, and they are forgotten. Log lines and events are kept as long as retention says."],
};

/** @param {string} reason @returns {[string, string]} */
const about = (reason) => OF[reason] ?? ["Let it happen?", "What is held back now is done at once."];

/** @param {{holds: any[]}} props */
function Confirm({holds}) {
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const {confirm: digest, reason, message} = holds[0];
  const names = [...new Set(holds.map((one) => one.worker_id).filter(Boolean))];
  const [question, means] = about(reason);
  const isHarsh = about(reason) !== OF.MassRestartGuard;
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await send("POST", "/reconcile", {confirm: digest});
      toast({tone: "good", text: "Confirmed. It happens now."});
      closeDialog();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${names.length ? question.replace("them", plural(names.length, "worker")) : question}>
    <form onSubmit=${submit} class="stack">
      <ul class="points"><li>${withCode(sentence(message))}</li><li>${means}</li>
        <li>The confirmation is for exactly this change: if the specs change before, it is refused.</li></ul>
      ${names.length > 0 && html`<p class="names">${names.slice(0, 24).map((name) => html`<span class="tag" key=${name}>${name}</span>`)}
        ${names.length > 24 && html`<span class="muted">and ${names.length - 24} more</span>`}</p>`}
      <${ErrorNotice} error=${error} />
      <${AsCommand} cli=${`workerctl reconcile --confirm ${digest}`} curl=${asCurl("POST", "/reconcile", {body: {confirm: digest}})} />
      <div class="form-foot"><button type="button" class="button" onClick=${closeDialog}>Cancel</button>
        <button type="submit" class=${`button primary ${isHarsh ? "harsh" : ""}`} disabled=${isBusy} autofocus>Let it happen</button></div>
    </form>
  <//>`;
}
