// Where a token is typed, once. It is exchanged for a session's cookie and forgotten here.
import {html, useEffect, useState} from "./html.mjs";
import {logIn} from "./session.mjs";
import {connect} from "./stream.mjs";
import {Notice} from "./parts/notice.mjs";
import {Snippet} from "./parts/copy.mjs";
import {sentence} from "./parts/why.mjs";

export function Login() {
  const [token, setToken] = useState("");
  const [fault, setFault] = useState("");
  const [isBusy, setBusy] = useState(false);
  useEffect(() => document.getElementById("token")?.focus(), []);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    const why = await logIn(token.trim()).catch(() => "the controller cannot be reached");
    setBusy(false);
    setFault(why);
    if (!why) connect();
  };
  return html`<main class="login" id="main">
    <form class="login-card stack" onSubmit=${submit}>
      <header><h1>workerctl</h1><p class="muted">Log in with a token of this controller.</p></header>
      ${fault && html`<${Notice} tone="bad" title=${sentence(fault)} />`}
      <label class="field"><span>Token</span>
        <input id="token" name="token" type="password" autocomplete="current-password" spellcheck=${false} required placeholder="wctl_\u2026"
          value=${token} onInput=${(/** @type {any} */ event) => setToken(event.target.value)} /></label>
      <button class="button primary" type="submit" disabled=${isBusy || !token.trim()}>Log in</button>
      <details><summary>I have none</summary>
        <p>On the machine of the controller, as the user that runs it:</p>
        <${Snippet} name="Make a token" text="workerctl token create me --role operator" />
        <p class="muted">Roles: viewer looks, operator acts and edits, admin does everything.</p>
      </details>
    </form>
  </main>`;
}
