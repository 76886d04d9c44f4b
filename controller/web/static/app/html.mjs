// The few words that every component is written in: htm's `html`, Preact's hooks, signals. Import from here, not from
// vendor/, so that a library is replaced in one place.
import {Component, createContext, Fragment, h, render} from "../vendor/preact.mjs";
import htm from "../vendor/htm.mjs";

export const html = htm.bind(h);
export {Component, createContext, Fragment, render};
export {useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState} from "../vendor/hooks.mjs";
export {batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect} from "../vendor/signals.mjs";

/** Class names, those that hold. `cls("row", isOpen && "open")`. @param {...(string|false|null|undefined)} names */
export const cls = (...names) => names.filter(Boolean).join(" ");
