// Somebody else wrote the spec meanwhile: what they changed, what I changed, and what shall hold. Nothing of mine is
// written or lost before a person has chosen.
import {html, useEffect, useRef, useState} from "../html.mjs";
import {plural} from "../format.mjs";
import {visible} from "../text.mjs";
import {changesOf} from "../spec-merge.mjs";
import {Tag} from "./badge.mjs";
import {Diff, FieldValue} from "./diff.mjs";

const BY = {me: ["", "you"], them: ["", "they"], both: ["warn", "both"], agreed: ["good", "the same"]};

/** @param {{draft: import("../spec-draft.mjs").SpecDraft, onDone: (words: string, undo?: () => void) => void}} props */
export function SpecConflict({draft, onDone}) {
  const {was, mine, theirs} = /** @type {any} */ (draft.state.value.conflict);
  const changes = changesOf(was.document, mine.document, theirs.document);
  const [chosen, choose] = useState(/** @type {Record<string, "mine"|"theirs">} */ ({}));
  const title = useRef(/** @type {any} */ (null));
  useEffect(() => {
    scrollTo(0, 0);
    title.current.focus();
  }, []);
  const both = changes.filter((one) => one.by === "both");
  const open = both.filter((one) => !chosen[one.path.join("\n")]);
  const isMine = (/** @type {any} */ one) => one.by === "me" || (one.by === "both" && chosen[one.path.join("\n")] === "mine");
  const takeBoth = () => {
    draft.takeOver(theirs, theirs, changes.filter(isMine).map((one) => ({path: one.path, value: one.mine})));
    onDone("Theirs, with what you changed. Look at it, then apply it.");
  };
  const keepMine = () => {
    draft.takeOver(theirs, mine);
    onDone("Yours, as you typed it. Applying it replaces what they wrote.");
  };
  const takeTheirs = () => {
    draft.takeOver(theirs, theirs);
    onDone("Theirs, as it stands in the file.", () => draft.takeOver(theirs, mine));
  };
  return html`<section class="conf-conflict" aria-labelledby="conflict">
    <h2 id="conflict" ref=${title} tabindex="-1">Somebody else changed this spec meanwhile</h2>
    <p>Nothing of yours was written, and nothing is lost. Here are both sides: choose what shall hold.</p>
    ${changes.length > 0 && html`<div class="diff-box"><table class="conf-sides"><caption class="unseen">Fields that somebody changed</caption>
      <thead><tr><th scope="col">Field</th><th scope="col">It was</th><th scope="col">Yours</th><th scope="col">Theirs</th><th scope="col">Changed by</th></tr></thead>
      <tbody>${changes.map((one) => {
        const key = one.path.join("\n");
        const side = (/** @type {"mine"|"theirs"} */ which) => (one.by === "both" ? html`<label class="conf-side"><input type="radio" name=${`side ${key}`} checked=${chosen[key] === which}
          onChange=${() => choose({...chosen, [key]: which})} /><${Side} value=${one[which]} /></label>` : html`<${Side} value=${one[which]} isIt=${(which === "mine") === (one.by === "me")} />`);
        return html`<tr key=${key}><th scope="row"><code>${visible(one.path.join("."))}</code></th><td data-label="It was"><${Side} value=${one.was} /></td>
          <td data-label="Yours">${side("mine")}</td><td data-label="Theirs">${side("theirs")}</td><td data-label="Changed by"><${Tag} tone=${BY[one.by][0]}>${BY[one.by][1]}<//></td></tr>`;
      })}</tbody></table></div>`}
    ${changes.length === 0 && html`<p>Both say the same; only comments or the layout differ.</p>`}
    <div class="conf-choices">
      <div><button type="button" class="button primary" disabled=${open.length > 0} onClick=${takeBoth}>Take both</button>
        <p>${open.length ? `First choose for ${plural(open.length, "field")} that both changed.` : "Their file, with the fields that you changed."}</p></div>
      <div><button type="button" class="button" onClick=${keepMine}>Keep mine</button><p>Your text as it is; what they changed goes.</p></div>
      <div><button type="button" class="button" onClick=${takeTheirs}>Take theirs</button><p>Their file; what you typed goes, and can be brought back.</p></div>
    </div>
    <div class="conf-diffs"><${Diff} before=${was.text} after=${theirs.text} label="What they changed" names=${["When you began", "theirs"]} />
      <${Diff} before=${theirs.text} after=${mine.text} label="Theirs and yours" names=${["Theirs", "yours"]} /></div>
  </section>`;
}

/** @param {{value: any, isIt?: boolean}} props */
const Side = ({value, isIt}) => (value === undefined ? html`<span class="muted">not set</span>` : html`<${FieldValue} value=${value} tag=${isIt ? "ins" : "span"} />`);
