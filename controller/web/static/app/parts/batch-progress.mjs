// How far a batch is: a bar in proportion, with its counts in words.
import {html} from "../html.mjs";
import {doneOf, RESULTS} from "../batches.mjs";

/** @param {{batch: any, words?: boolean}} props */
export function BatchProgress({batch, words = false}) {
  const parts = RESULTS.map(([id, tone, word]) => ({id, tone, word, number: batch.counts[id] ?? 0})).filter((one) => one.number);
  const told = parts.map((one) => `${one.number} ${one.word}`).join(", ");
  return html`<div class="batch-progress">
    <div class="batch-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax=${batch.total} aria-valuenow=${doneOf(batch)} aria-valuetext=${told}>
      ${parts.map((one) => html`<span key=${one.id} class=${`bar-${one.tone} bar-is-${one.id}`} style=${{flexGrow: one.number}}></span>`)}</div>
    ${words ? html`<ul class="batch-counts">${parts.map((one) => html`<li key=${one.id} class=${`bar-${one.tone}`}><span class="batch-mark" aria-hidden="true"></span><strong>
      ${one.number}</strong> ${one.word}</li>`)}</ul>`
    : html`<span class="muted" aria-hidden="true">${told}</span>`}
  </div>`;
}
