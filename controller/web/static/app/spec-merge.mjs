// Two people changed one spec: what each of them changed, and both together. Pure.
import {isMap, setAt} from "./spec-schema.mjs";

/** @typedef {{path: string[], was: any, mine: any, theirs: any, by: "me"|"them"|"both"|"agreed"}} Change */

/** All fields that somebody changed. `both`: differently. @param {any} was @param {any} mine @param {any} theirs @returns {Change[]} */
export function changesOf(was, mine, theirs) {
  const [a, b, c] = [leavesOf(was), leavesOf(mine), leavesOf(theirs)];
  /** @type {Change[]} */
  const found = [];
  for (const key of new Set([...a.keys(), ...b.keys(), ...c.keys()])) {
    const [old, my, their] = [a.get(key), b.get(key), c.get(key)];
    const [byMe, byThem] = [!same(old, my), !same(old, their)];
    if (!byMe && !byThem) continue;
    const by = byMe && byThem ? (same(my, their) ? "agreed" : "both") : byMe ? "me" : "them";
    found.push({path: JSON.parse(key), was: old, mine: my, theirs: their, by});
  }
  return found;
}

/** Theirs, with what I changed; of what both changed, mine where `mineOf` says so. @param {any} theirs @param {Change[]} changes @param {(change: Change) => boolean} mineOf */
export function merged(theirs, changes, mineOf) {
  return changes
    .filter((one) => one.by === "me" || (one.by === "both" && mineOf(one)))
    .reduce((document, one) => setAt(document, one.path, one.mine), theirs);
}

/** Values by their path; a list is one. @param {any} map @param {string[]} [above] @param {Map<string, any>} [found] */
function leavesOf(map, above = [], found = new Map()) {
  for (const [key, value] of Object.entries(map ?? {})) {
    const path = [...above, key];
    if (isMap(value) && Object.keys(value).length) leavesOf(value, path, found);
    else found.set(JSON.stringify(path), value);
  }
  return found;
}

/** @param {any} a @param {any} b */
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
