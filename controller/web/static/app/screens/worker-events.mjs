// What happened to one worker.
import {html} from "../html.mjs";
import {EventBrowser} from "../parts/event-browser.mjs";

/** @param {{id: string}} props */
export default function WorkerEvents({id}) {
  return html`<${EventBrowser} key=${id} workerId=${id} />`;
}
