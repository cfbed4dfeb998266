/**
 * Randomness from the host. QuickJS seeds its own while the component is built, so that every
 * instance would draw the same numbers. It does not know where the bytes come from.
 */

// So many bytes are drawn at once for `Math.random`, and so many at most for one request.
const POOL = 512;
const MOST = 65_536;

/** Makes `Math.random` and `crypto` out of a source of bytes. */
export function randomness(draw) {
  let pool = new DataView(new ArrayBuffer(0));
  let at = 0;

  function random() {
    if (at + 8 > pool.byteLength) {
      const bytes = draw(POOL);
      pool = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      at = 0;
    }
    const high = pool.getUint32(at) >>> 5;
    const low = pool.getUint32(at + 4) >>> 6;
    at += 8;
    // 53 bits, as many as a number below 1 has.
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  function getRandomValues(array) {
    if (!ArrayBuffer.isView(array) || array instanceof DataView || /^Float/.test(array.constructor.name)) {
      throw new TypeError("getRandomValues takes an array of whole numbers");
    }
    if (array.byteLength > MOST) throw new RangeError(`getRandomValues gives at most ${MOST} bytes`);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    bytes.set(draw(bytes.length));
    return array;
  }

  function randomUUID() {
    const bytes = draw(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }

  return { random, crypto: { getRandomValues, randomUUID } };
}
