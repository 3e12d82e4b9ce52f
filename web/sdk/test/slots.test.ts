import { describe, expect, it } from "vitest";
import { CSRC_FRESH_MS, occupant, SlotTable, type SlotReceiver } from "../src/slots";
import { FakeStream } from "./fakes";

describe("who is in a slot", () => {
  const told = (participant: number | undefined, atMs: number) => ({ participant, atMs });
  const heard = (participant: number, atMs: number) => ({ participant, atMs, level: undefined });

  it("is whom the packets name, because label and picture then change together", () => {
    expect(occupant(told(1, 100), heard(2, 90), 120)).toBe(2);
    expect(occupant(told(undefined, 100), heard(2, 110), 120)).toBe(2);
  });

  it("is whom the signal names when no packet is fresh", () => {
    expect(occupant(told(1, 100), undefined, 120)).toBe(1);
    expect(occupant(told(1, 100), heard(2, 90), 91 + CSRC_FRESH_MS)).toBe(1);
  });

  it("is nobody once the signal emptied it after the last packet", () => {
    expect(occupant(told(undefined, 100), heard(2, 90), 120)).toBeUndefined();
  });
});

class FakeReceiver implements SlotReceiver {
  sources: { source: number; timestamp: number; audioLevel?: number }[] = [];
  constructor(readonly track = { id: crypto.randomUUID() } as MediaStreamTrack) {}
  getContributingSources() {
    return this.sources;
  }
  getSynchronizationSources() {
    return [{ audioLevel: 0.5 }];
  }
}

describe("slot table", () => {
  const lines = [
    { mid: "2", role: "audio" },
    { mid: "3", role: "main" },
    { mid: "4", role: "strip" },
    { mid: "5", role: "strip" },
  ] as const;

  function table() {
    const clock = { now: 1_000 };
    const receivers = new Map(lines.map(({ mid }) => [mid as string, new FakeReceiver()]));
    const slots = new SlotTable(() => new FakeStream() as unknown as MediaStream, () => clock.now);
    slots.bind(lines);
    slots.attach((mid) => receivers.get(mid));
    return { clock, receivers, slots };
  }

  it("names slots by role, and gives each its track", () => {
    const { slots, receivers } = table();
    expect(slots.slots.map(({ key }) => key)).toEqual(["audio-0", "main-0", "strip-0", "strip-1"]);
    expect(slots.slots[3]?.stream.getTracks()).toEqual([receivers.get("5")?.track]);
  });

  it("takes the newest of several sources", () => {
    const { slots, receivers, clock } = table();
    receivers.get("3")!.sources = [
      { source: 7, timestamp: 900 },
      { source: 8, timestamp: 990 },
    ];
    expect(slots.sample()).toBe(true);
    expect(slots.slots[1]?.participant).toBe(8);
    clock.now += 10;
    expect(slots.sample()).toBe(false);
  });

  it("follows the signal where no packet is, and tells the encoding", () => {
    const { slots } = table();
    expect(slots.apply([{ mid: "4", participant: 9, rid: "q" }])).toBe(true);
    expect(slots.slots[2]).toMatchObject({ participant: 9, rid: "q" });
    expect(slots.apply([{ mid: "4", participant: 9, rid: "q" }])).toBe(false);
    expect(slots.apply([{ mid: "4", participant: 9, rid: "h" }])).toBe(true);
    expect(slots.apply([{ mid: "5", participant: null, rid: null as unknown as string }])).toBe(false);
    expect(slots.apply([{ mid: "99", participant: 9 }])).toBe(false);
  });

  it("has the level of a voice only while its packets come", () => {
    const { slots, receivers, clock } = table();
    receivers.get("2")!.sources = [{ source: 7, timestamp: 995, audioLevel: 0.25 }];
    slots.sample();
    expect(slots.slots[0]?.level).toBe(0.25);
    receivers.get("2")!.sources = [{ source: 7, timestamp: 995 }];
    slots.sample();
    expect(slots.slots[0]?.level).toBe(0.5);
    clock.now += CSRC_FRESH_MS + 10;
    slots.sample();
    expect(slots.slots[0]?.level).toBe(0);
  });

  it("keeps its streams when the peer is replaced", () => {
    const { slots } = table();
    const before = slots.slots.map(({ stream }) => stream);
    const moved = lines.map(({ role }, i) => ({ mid: String(i + 20), role }));
    const fresh = new Map(moved.map(({ mid }) => [mid, new FakeReceiver()]));
    slots.bind(moved);
    slots.attach((mid) => fresh.get(mid));
    expect(slots.slots.map(({ stream }) => stream)).toEqual(before);
    expect(slots.slots[0]?.stream.getTracks()).toEqual([fresh.get("20")?.track]);
  });
});
