// Who sits here: asked once at the start, and again after a login. The token itself is sent once and kept nowhere.
import {computed, signal} from "./html.mjs";

/** @typedef {{name: string, role: "viewer"|"operator"|"admin", via: string, token_id: string|null, expires_at: string|null}} Who */

/** Null until it is known, and while nobody is logged in. @type {import("./html.mjs").Signal<Who|null>} */
export const who = signal(null);
/** Whether a token has to be typed before anything can be shown. */
export const needsLogin = signal(false);
/** Whether this person may change anything. Screens leave out what they may not do, and say so once. */
export const mayAct = computed(() => who.value !== null && who.value.role !== "viewer");

/** Called where the API answers 401. */
export function mustLogIn() {
  who.value = null;
  needsLogin.value = true;
}

/** @returns {Promise<boolean>} whether somebody is let in */
export async function learnWho() {
  const response = await fetch("/api/v1/whoami", {cache: "no-store"});
  if (response.status === 401) {
    mustLogIn();
    return false;
  }
  if (response.ok) {
    who.value = await response.json();
    needsLogin.value = false;
  }
  return response.ok;
}

/** Exchange a token for a session. @param {string} token @returns {Promise<string>} empty, or why not */
export async function logIn(token) {
  const response = await fetch("/api/v1/session", {
    method: "POST",
    headers: {Authorization: `Bearer ${token}`},
    cache: "no-store",
  });
  const told = await response.json().catch(() => ({}));
  if (!response.ok) return told.detail ?? `the controller answered ${response.status}`;
  who.value = told;
  needsLogin.value = false;
  return "";
}

export async function logOut() {
  await fetch("/api/v1/session", {method: "DELETE", cache: "no-store"});
  mustLogIn();
}
