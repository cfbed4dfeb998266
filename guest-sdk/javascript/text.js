/** UTF-8 for QuickJS, which has no codec: `TextEncoder` and `TextDecoder` as the web has them. */

// So many bytes become letters at once: what a call may have as arguments.
const PIECE = 4096;

export class TextEncoder {
  get encoding() { return "utf-8"; }

  encode(text = "") {
    text = String(text);
    let bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code > 0x7f) return this.#encodeRest(text, bytes.subarray(0, at), at);
      bytes[at] = code;
    }
    return bytes;
  }

  // Three bytes for a unit are the most there are.
  #encodeRest(text, before, from) {
    const bytes = new Uint8Array(before.length + (text.length - from) * 3);
    bytes.set(before);
    const { written } = this.#into(text, from, bytes, before.length);
    return bytes.slice(0, written);
  }

  encodeInto(text, bytes) { return this.#into(String(text), 0, bytes, 0); }

  #into(text, read, bytes, written) {
    while (read < text.length) {
      let code = text.codePointAt(read);
      const units = code > 0xffff ? 2 : 1;
      if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
      const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (written + size > bytes.length) break;
      if (size === 1) bytes[written] = code;
      else {
        const head = size === 2 ? 0xc0 : size === 3 ? 0xe0 : 0xf0;
        for (let at = size - 1; at > 0; at -= 1) {
          bytes[written + at] = 0x80 | (code & 0x3f);
          code >>= 6;
        }
        bytes[written] = head | code;
      }
      written += size;
      read += units;
    }
    return { read, written };
  }
}

export class TextDecoder {
  #fatal;
  #ignoreBOM;

  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    if (!["utf-8", "utf8", "unicode-1-1-utf-8"].includes(String(label).trim().toLowerCase())) {
      throw new RangeError(`${label}: only UTF-8 is there`);
    }
    this.#fatal = Boolean(fatal);
    this.#ignoreBOM = Boolean(ignoreBOM);
  }

  get encoding() { return "utf-8"; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBOM; }

  decode(input, { stream = false } = {}) {
    if (stream) throw new TypeError("decoding in pieces is not there; decode the whole");
    const bytes = viewOf(input);
    let at = 0;
    if (!this.#ignoreBOM && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) at = 3;
    let text = "";
    const units = [];
    while (at < bytes.length) {
      const first = bytes[at];
      if (first < 0x80) {
        units.push(first);
        at += 1;
      } else at = this.#many(bytes, at, units);
      if (units.length >= PIECE) {
        text += String.fromCharCode.apply(null, units);
        units.length = 0;
      }
    }
    return text + String.fromCharCode.apply(null, units);
  }

  // A sequence of several bytes, or as much of one as there is, which becomes one U+FFFD.
  #many(bytes, at, units) {
    const first = bytes[at];
    const size = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3
      : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
    let code = size === 0 ? 0 : first & (0xff >> (size + 1));
    let read = 1;
    for (; read < size; read += 1) {
      const next = bytes[at + read];
      const [low, high] = read === 1 ? second(first) : [0x80, 0xbf];
      if (next === undefined || next < low || next > high) break;
      code = (code << 6) | (next & 0x3f);
    }
    if (size === 0 || read < size) {
      if (this.#fatal) throw new TypeError("the bytes are no UTF-8");
      units.push(0xfffd);
    } else if (code > 0xffff) {
      units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
    } else units.push(code);
    return at + read;
  }
}

/** What the second byte may be: no overlong forms, no surrogates, nothing above U+10FFFF. */
function second(first) {
  switch (first) {
    case 0xe0: return [0xa0, 0xbf];
    case 0xed: return [0x80, 0x9f];
    case 0xf0: return [0x90, 0xbf];
    case 0xf4: return [0x80, 0x8f];
    default: return [0x80, 0xbf];
  }
}

function viewOf(input) {
  if (input === undefined) return new Uint8Array();
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  return new Uint8Array(input);
}
