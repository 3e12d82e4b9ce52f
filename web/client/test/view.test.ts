import type { Member, Slot } from "@mesh/sdk";
import { describe, expect, it } from "vitest";
import { arrange, hueOf, initials, nameOf, STRIP_TILES } from "../src/lib/view";

const member = (id: number, more: Partial<Member> = {}): Member => ({
  id,
  name: `P${id}`,
  edge: 1,
  micMuted: false,
  cameraOff: false,
  publisher: true,
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
    expect(view.strip.map(({ participant }) => participant)).toEqual([3]);
  });

  it("shows the speaker by initials when there is no picture", () => {
    const view = arrange([], [member(1), member(2), member(3)], floor(3), 1);
    expect(view.main).toMatchObject({ participant: 3, stream: undefined });
    expect(view.strip.map(({ participant }) => participant)).toEqual([2]);
  });

  it("shows the only other person before anybody spoke", () => {
    expect(arrange([], [member(1), member(2)], floor(undefined), 1).main?.participant).toBe(2);
    expect(arrange([], [member(1)], floor(undefined), 1).main).toBeUndefined();
  });

  it("leaves out those who only watch, and stays within the strip", () => {
    const crowd = Array.from({ length: 40 }, (_, i) => member(i + 10, { publisher: i % 2 === 0 }));
    const { strip } = arrange([], crowd, floor(10), 1);
    expect(strip).toHaveLength(STRIP_TILES);
    expect(strip.every(({ participant }) => participant % 2 === 0)).toBe(true);
  });

  it("has a shared screen beside the speaker", () => {
    const view = arrange([slot("screen", 2), slot("main", 2)], [member(1), member(2)], floor(2), 1);
    expect(view.screen?.participant).toBe(2);
    expect(view.main?.participant).toBe(2);
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
