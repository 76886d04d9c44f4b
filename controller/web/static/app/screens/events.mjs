// What happened, to all workers: who did what, when, and why.
import {html} from "../html.mjs";
import {EventBrowser} from "../parts/event-browser.mjs";
import {PageHead} from "../parts/page.mjs";

export default function Events() {
  return html`<${PageHead} title="Events">What happened, the newest first: each with who did it and why.<//><${EventBrowser} />`;
}
