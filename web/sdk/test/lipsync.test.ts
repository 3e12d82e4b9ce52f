import { describe, expect, it } from "vitest";
import { equalised, TARGET_MAX_MS } from "../src/lipsync";
import type { SlotStats } from "../src/stats";

function slot(key: string, role: SlotStats["role"], participant: number | undefined, needMs: number): SlotStats {
  return { key, role, participant, jitterBufferMinimumMs: needMs, jitterBufferMs: 500 } as SlotStats;
}

const target = (slots: SlotStats[]) => Object.fromEntries(equalised(slots).map(({ key, targetMs }) => [key, targetMs]));

describe("voice and picture of a person", () => {
  it("wait as long as the slower of the two", () => {
    expect(target([slot("audio-0", "audio", 1, 40), slot("main-0", "main", 1, 113)])).toEqual({ "audio-0": 120, "main-0": 120 });
  });

  it("are left alone when they are close, so targets do not swing", () => {
    expect(target([slot("audio-0", "audio", 1, 40), slot("main-0", "main", 1, 55)])).toEqual({ "audio-0": null, "main-0": null });
  });

  it("have nothing to do with anybody else's, nor with a shared screen", () => {
    const slots = [slot("audio-0", "audio", 1, 40), slot("main-0", "main", 2, 200), slot("screen-0", "screen", 1, 300)];
    expect(Object.values(target(slots))).toEqual([null, null, null]);
  });

  it("do not pair in empty slots", () => {
    expect(Object.values(target([slot("audio-0", "audio", undefined, 0), slot("main-0", "main", undefined, 90)]))).toEqual([null, null]);
  });

  it("never wait for more than people can talk over", () => {
    expect(target([slot("audio-0", "audio", 1, 40), slot("main-0", "main", 1, 2_000)])["audio-0"]).toBe(TARGET_MAX_MS);
  });
});
