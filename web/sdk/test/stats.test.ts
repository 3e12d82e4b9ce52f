import { describe, expect, it } from "vitest";
import type { Slot } from "../src/slots";
import { StatsReader } from "../src/stats";

const slots = [{ key: "main-0", mid: "3", role: "main", participant: 7, rid: "f", level: 0 } as unknown as Slot];

function inbound(timestamp: number, received: number, lost: number, bytes: number) {
  return { id: "I1", type: "inbound-rtp", mid: "3", timestamp, packetsReceived: received, packetsLost: lost, bytesReceived: bytes };
}

describe("stats", () => {
  it("are rates between two looks", () => {
    const reader = new StatsReader();
    expect(reader.read([inbound(1_000, 100, 0, 10_000)], slots).downBps).toBe(0);
    const { slots: [main], downBps } = reader.read([inbound(2_000, 190, 10, 135_000)], slots);
    expect(main).toMatchObject({ key: "main-0", participant: 7, bitrateBps: 1_000_000, lossRatio: 0.1 });
    expect(downBps).toBe(1_000_000);
  });

  it("are zeros for a slot that received nothing", () => {
    expect(new StatsReader().read([], slots).slots[0]).toMatchObject({ bitrateBps: 0, lossRatio: 0, framesDecoded: 0 });
  });
});
