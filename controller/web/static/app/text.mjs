// Text of strangers (log lines, names, errors, reasons) made harmless to read: what would move the cursor, hide, or turn
// the direction of what follows is shown as what it is. The one place for it; everything is a text node afterwards, so
// markup in it is text already.

const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/**
 * The text with every character shown that would not be. Tabs and line feeds stay, also the joiners (U+200C, U+200D)
 * that many scripts and emoji need.
 * @param {unknown} text
 * @returns {string}
 */
export function visible(text) {
  return String(text ?? "").replace(UNSEEN, (found) => {
    const code = found.codePointAt(0) ?? 0;
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `\u2039U+${code.toString(16).toUpperCase().padStart(4, "0")}\u203a`;
  });
}

/** The same on one line, at most so long. @param {unknown} text @param {number} [most] */
export function oneLine(text, most = 300) {
  const line = visible(text).replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}\u2026` : line;
}
