import { describe, expect, it } from "vitest";
import { Roster } from "../src/roster";
import { member } from "./fakes";

describe("roster", () => {
  it("starts with a snapshot and follows changes", () => {
    const roster = new Roster();
    roster.apply({ seq: 1, snapshot: true, put: [member(2), member(1)], removed: [] });
    roster.apply({ seq: 2, snapshot: false, put: [member(3, { micMuted: true })], removed: [1] });
    expect(roster.members.map(({ id }) => id)).toEqual([2, 3]);
    expect(roster.get(3)?.micMuted).toBe(true);
  });

  it("does not let an old change undo a newer one", () => {
    const roster = new Roster();
    roster.apply({ seq: 5, snapshot: true, put: [member(1)], removed: [] });
    expect(roster.apply({ seq: 4, snapshot: false, put: [], removed: [1] })).toBe(false);
    expect(roster.members).toHaveLength(1);
  });

  it("forgets everybody with a new snapshot, also one of another origin with a smaller number", () => {
    const roster = new Roster();
    roster.apply({ seq: 9, snapshot: true, put: [member(1)], removed: [] });
    roster.apply({ seq: 1, snapshot: true, put: [member(2)], removed: [] });
    expect(roster.members.map(({ id }) => id)).toEqual([2]);
  });

  it("takes the same change twice as once", () => {
    const roster = new Roster();
    const change = { seq: 2, snapshot: false, put: [member(1)], removed: [3] };
    roster.apply(change);
    roster.apply(change);
    expect(roster.members).toHaveLength(1);
  });
});
