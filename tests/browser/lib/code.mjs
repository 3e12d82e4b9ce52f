// The picture code: who is seen (a solid colour) and which frame it is (a row of black and white cells).
// Shared by the clip writer (node), the in-page media and the probe; so every function here stands alone.

/** Colours far from each other, also after VP8 at 150 kbit/s. The name of a colour is its identity. */
export const COLOURS = {
  red: [208, 40, 40],
  green: [40, 176, 56],
  blue: [48, 64, 208],
  yellow: [216, 200, 40],
  magenta: [200, 48, 192],
  cyan: [40, 192, 200],
  orange: [224, 128, 32],
  grey: [128, 128, 128],
};

/** Tones far from each other's harmonics, in Hz; one for each colour. */
export const TONES = { red: 440, green: 660, blue: 1020, yellow: 1540, magenta: 2060, cyan: 2660, orange: 3220, grey: 3900 };

/** Cells in the row: white, black, 12 bits of the counter (lowest first), parity, white. */
export const CELLS = 16;
/** Bits of the counter. */
export const COUNTER_BITS = 12;
/** Height of the row, as a share of the picture. */
export const ROW = 1 / 9;

/** The cells (true: white) of a frame number. */
export function cellsOf(frame) {
  const bits = Array.from({ length: COUNTER_BITS }, (_, i) => ((frame >> i) & 1) === 1);
  const parity = bits.filter(Boolean).length % 2 === 1;
  return [true, false, ...bits, parity, true];
}
