import type { Member, Slot } from "@mesh/sdk";
import { describe, expect, it } from "vitest";
import { bestGrid, GALLERY_TILES, galleryRoom, stripRoom, stripWish } from "../src/room/grid";
import { arrange, changes, galleryTiles, handsFirst, hueOf, initials, nameOf, search } from "../src/room/view";

const member = (id: number, more: Partial<Member> = {}): Member => ({
  id,
  name: `P${id}`,
  edge: 1,
  micMuted: false,
  cameraOff: false,
  role: "panelist",
  ...more,
});
const slot = (role: Slot["role"], participant: number | undefined): Slot => ({
  key: `${role}-${participant}`,
  mid: "1",
  role,
  participant,
  rid: undefined,
  level: 0,
  stream: {} as MediaStream,
});
const floor = (main: number | undefined) => ({ main, recent: [] });

describe("arrangement", () => {
  it("shows the main slot large and the strip small, oneself in neither", () => {
    const slots = [slot("main", 2), slot("strip", 3), slot("strip", undefined)];
    const view = arrange(slots, [member(1), member(2), member(3)], floor(2), 1);
    expect(view.main?.participant).toBe(2);
    expect(view.others.map(({ participant }) => participant)).toEqual([3]);
  });

  it("shows the speaker by initials when there is no picture", () => {
    const view = arrange([], [member(1), member(2), member(3)], floor(3), 1);
    expect(view.main).toMatchObject({ participant: 3, stream: undefined });
    expect(view.others.map(({ participant }) => participant)).toEqual([2]);
  });

  it("shows the only other person before anybody spoke", () => {
    expect(arrange([], [member(1), member(2)], floor(undefined), 1).main?.participant).toBe(2);
    expect(arrange([], [member(1)], floor(undefined), 1).main).toBeUndefined();
  });

  it("leaves out those who only watch", () => {
    const crowd = Array.from({ length: 40 }, (_, i) => member(i + 10, { role: i % 2 === 0 ? "panelist" : "attendee" }));
    const { others } = arrange([], crowd, floor(10), 1);
    expect(others).toHaveLength(19);
    expect(others.every(({ participant }) => participant % 2 === 0)).toBe(true);
  });

  it("shows nobody twice while they move from the strip to the main slot", () => {
    const view = arrange([slot("main", 2), slot("strip", 2)], [member(1), member(2)], floor(2), 1);
    expect(view.others).toEqual([]);
  });

  it("has a shared screen beside the speaker", () => {
    const view = arrange([slot("screen", 2), slot("main", 2)], [member(1), member(2)], floor(2), 1);
    expect(view.screen?.participant).toBe(2);
    expect(view.main?.participant).toBe(2);
  });
});

describe("a gallery", () => {
  const crowd = [member(1), member(2), member(3), member(4), member(5)];

  it("has everybody in the order of the roster, whoever speaks", () => {
    const slots = [slot("main", 4), slot("strip", 5), slot("strip", 2)];
    const ids = galleryTiles(arrange(slots, crowd, floor(4), 1), 24).map(({ participant }) => participant);
    expect(ids).toEqual([2, 3, 4, 5]);
  });

  it("prefers those with a picture when there is no room for all", () => {
    const slots = [slot("main", 5), slot("strip", 3)];
    const ids = galleryTiles(arrange(slots, crowd, floor(5), 1), 2).map(({ participant }) => participant);
    expect(ids).toEqual([3, 5]);
  });

  it("makes tiles as large as they can be", () => {
    expect(bestGrid(1, 1600, 900)).toMatchObject({ columns: 1, tileWidth: 1600 });
    expect(bestGrid(4, 1600, 900)).toMatchObject({ columns: 2, rows: 2 });
    expect(bestGrid(2, 400, 900)).toMatchObject({ columns: 1, rows: 2, tileWidth: 400 });
    expect(bestGrid(25, 1600, 900)).toMatchObject({ columns: 5, rows: 5 });
    for (let count = 1; count <= GALLERY_TILES; count += 1) {
      const { columns, rows, tileWidth, tileHeight } = bestGrid(count, 1000, 700);
      expect(columns * rows).toBeGreaterThanOrEqual(count);
      expect(columns * tileWidth + 8 * (columns - 1)).toBeLessThanOrEqual(1000);
      expect(rows * tileHeight + 8 * (rows - 1)).toBeLessThanOrEqual(700);
    }
  });

  it("has room for 25 on a desk and for fewer on a phone", () => {
    expect(galleryRoom(1280, 720)).toBe(25);
    expect(galleryRoom(360, 560)).toBeLessThan(16);
    expect(galleryRoom(360, 560)).toBeGreaterThanOrEqual(8);
    expect(galleryRoom(0, 0)).toBe(2);
  });
});

describe("what is asked of the edge", () => {
  it("is nothing while it does the right thing by itself", () => {
    expect(stripWish(6, 4, 0)).toBeUndefined();
    expect(stripWish(24, 13, 1)).toBeUndefined();
  });

  it("is as many as are visible, where more people are there", () => {
    expect(stripWish(4, 30, 0)).toBe(4);
    expect(stripWish(24, 30, 1)).toBe(23);
    expect(stripWish(24, 20, 1)).toBe(19);
    expect(stripWish(0, 3, 0)).toBe(0);
  });

  it("knows how many tiles stand side by side", () => {
    expect([stripRoom(1000, 168), stripRoom(168, 168), stripRoom(100, 168)]).toEqual([5, 1, 1]);
  });
});

describe("the roster", () => {
  it("is searched without regard to case and accents", () => {
    const people = ["Zoë Ångström", "Bob", "Zoltan"].map((name, id) => member(id, { name }));
    expect(search(people, " zo").map(({ id }) => id)).toEqual([0, 2]);
    expect(search(people, "angstrom").map(({ id }) => id)).toEqual([0]);
    expect(search(people, "")).toHaveLength(3);
  });

  it("has raised hands first, in the order they went up", () => {
    const people = [member(1), member(2, { hand: 9 }), member(3), member(4, { hand: 5 })];
    expect(handsFirst(people).map(({ id }) => id)).toEqual([4, 2, 1, 3]);
  });

  it("tells who came and who went, and not who only came back", () => {
    const ada = member(1, { name: "Ada" });
    const { came, went } = changes([ada, member(2)], [member(7, { name: "Ada" }), member(3)]);
    expect([came.map(({ id }) => id), went.map(({ id }) => id)]).toEqual([[3], [2]]);
  });
});

describe("names", () => {
  it("are there before the roster is", () => {
    expect(nameOf([], 0x100003)).toBe("Guest 3");
  });

  it("become initials", () => {
    expect(["Ada Lovelace", " grace ", "", "Ö ß z"].map(initials)).toEqual(["AL", "G", "?", "ÖZ"]);
  });

  it("have colours far apart for neighbours", () => {
    expect(Math.abs(hueOf(1) - hueOf(2))).toBeGreaterThan(60);
  });
});
