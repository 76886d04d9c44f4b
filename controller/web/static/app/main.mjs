// The start: who sits here, then the stream, then the shell with the screen of this place. Everything else is loaded by
// those who need it.
import {html, render} from "./html.mjs";
import {learnWho} from "./session.mjs";
import {connect} from "./stream.mjs";
import {Shell} from "./shell.mjs";
import "./store.mjs";

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
render(html`<${Shell} />`, root);
learnWho()
  .catch(() => true)
  .then((isIn) => isIn && connect());
