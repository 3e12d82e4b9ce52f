/** Tiles of a gallery at most, the own one included. */
export const GALLERY_TILES = 25;
/** Small pictures in the strip at most: what the edge fills unasked. */
export const STRIP_TILES = 12;
/** A picture that is narrower shows no face, px. */
const TILE_WIDTH_MIN = 150;
/** Two tiles side by side are better than none on a phone, px. */
const TILE_WIDTH_MIN_SMALL = 130;
const GAP = 8;

/** Tiles of 16:9 in a box. */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
  readonly tileWidth: number;
  readonly tileHeight: number;
}

/** The arrangement in which `count` tiles of 16:9 are largest in a box. */
export function bestGrid(count: number, width: number, height: number, gap = GAP): Grid {
  let best: Grid = { columns: 1, rows: Math.max(1, count), tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(Math.max(1, count) / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows) * (16 / 9);
    const tileWidth = Math.floor(Math.min(byWidth, byHeight));
    if (tileWidth > best.tileWidth) best = { columns, rows, tileWidth, tileHeight: Math.floor((tileWidth * 9) / 16) };
  }
  return best;
}

/** How many tiles of a useful size a gallery of this size has room for, at least 2. */
export function galleryRoom(width: number, height: number): number {
  const least = width < 600 ? TILE_WIDTH_MIN_SMALL : TILE_WIDTH_MIN;
  for (let count = GALLERY_TILES; count > 2; count -= 1) {
    if (bestGrid(count, width, height).tileWidth >= least) return count;
  }
  return 2;
}

/** How many tiles of a width fit side by side. */
export function stripRoom(width: number, tileWidth: number, gap = GAP): number {
  return Math.max(1, Math.floor((width + gap) / (tileWidth + gap)));
}

/**
 * How many strip pictures to ask the edge for, when there is room for `room` pictures of others and `others` could be
 * shown; `beside`: of those, how many stand in the main slot. None: what the edge does by itself is right.
 */
export function stripWish(room: number, others: number, beside: number): number | undefined {
  const wanted = Math.max(0, Math.min(room, others) - beside);
  return others - beside <= Math.min(wanted, STRIP_TILES) ? undefined : wanted;
}
