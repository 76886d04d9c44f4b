// A path that is no screen.
import {html} from "../html.mjs";
import {place} from "../router.mjs";
import {visible} from "../text.mjs";
import {PageHead} from "../parts/page.mjs";

export default function NotFound() {
  return html`<${PageHead} title="There is no such page"><code>${visible(place.value.path)}</code><//>
    <p><a class="button" href="/">To the overview</a></p>`;
}
