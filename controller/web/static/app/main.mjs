// The start: the shell with the screen of this place; at once the stream, and who sits here. Everything else is loaded by
// those who need it.
import {html, render} from "./html.mjs";
import {learnWho} from "./session.mjs";
import {connect} from "./stream.mjs";
import {Shell} from "./shell.mjs";
import "./store.mjs";

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
render(html`<${Shell} />`, root);
connect();
learnWho().catch(() => false);
