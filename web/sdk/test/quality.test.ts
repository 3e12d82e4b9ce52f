import { describe, expect, it } from "vitest";
import { loudness } from "../src/level";
import { QualityReader } from "../src/quality";
import type { MeetingStats, SlotStats } from "../src/stats";

const slot = (participant: number, more: Partial<SlotStats> = {}): SlotStats =>
  ({ key: "main-0", role: "main", participant, bitrateBps: 500_000, lossRatio: 0, concealedRatio: 0, ...more }) as SlotStats;
const look = (more: Partial<MeetingStats> = {}): MeetingStats =>
  ({ roundTripMs: 40, downLossRatio: 0, slots: [], sends: [], ...more }) as unknown as MeetingStats;

function settled(stats: MeetingStats, times = 12) {
  const reader = new QualityReader();
  let last = reader.update(stats);
  for (let i = 1; i < times; i += 1) last = reader.update(stats);
  return last;
}

describe("connection quality", () => {
  it("is unknown before there is a path, and full on a good one", () => {
    expect(settled(look({ roundTripMs: undefined as unknown as number })).own).toBeUndefined();
    expect(settled(look()).own).toBe(4);
  });

  it.each([
    [{ roundTripMs: 350 }, 3],
    [{ roundTripMs: 700 }, 2],
    [{ roundTripMs: 1_500 }, 1],
    [{ downLossRatio: 0.02 }, 3],
    [{ downLossRatio: 0.05 }, 2],
    [{ downLossRatio: 0.2 }, 1],
    [{ sends: [{ lossRatio: 0.1 }] as unknown as MeetingStats["sends"] }, 1],
  ])("of %j is %i", (more, bars) => {
    expect(settled(look(more)).own).toBe(bars);
  });

  it("of a person is the worse of voice and picture", () => {
    const voice = slot(7, { key: "audio-0", role: "audio", concealedRatio: 0.1 });
    const { of } = settled(look({ slots: [slot(7), voice, slot(8, { key: "strip-0", role: "strip" })] }));
    expect([...of]).toEqual([[7, 2], [8, 4]]);
  });

  it("forgives one bad second, not five", () => {
    const reader = new QualityReader();
    for (let i = 0; i < 5; i += 1) reader.update(look());
    expect(reader.update(look({ downLossRatio: 0.02 })).own).toBe(4);
    for (let i = 0; i < 5; i += 1) reader.update(look({ downLossRatio: 0.04 }));
    expect(reader.update(look({ downLossRatio: 0.04 })).own).toBe(2);
  });

  it("is not claimed of somebody from whom nothing comes", () => {
    expect(settled(look({ slots: [slot(7, { bitrateBps: 0 })] })).of.size).toBe(0);
  });
});

describe("loudness", () => {
  it("rises evenly in dB from -60 to full scale", () => {
    const tone = (level: number): Float32Array => Float32Array.from({ length: 1_024 }, (_, i) => level * (i % 2 ? 1 : -1));
    expect([0, 0.001, 0.0316, 1].map((level) => Number(loudness(tone(level)).toFixed(2)))).toEqual([0, 0, 0.5, 1]);
  });
});
