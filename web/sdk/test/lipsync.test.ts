import { describe, expect, it } from "vitest";
import { LipSync, playoutDelayMs, TARGET_MAX_MS } from "../src/lipsync";
import type { Playing } from "../src/lipsync";

const playing = (key: string, role: Playing["role"], participant: number | undefined, delayMs: number | undefined, bufferMs = 40): Playing =>
  ({ key, role, participant, delayMs, bufferMs });

const targets = (sync: LipSync, slots: Playing[]) => Object.fromEntries(sync.update(slots).map(({ key, targetMs }) => [key, targetMs]));

describe("voice and picture of a person", () => {
  it("come together: the earlier one waits", () => {
    const sync = new LipSync();
    // A model of the browser: a slot plays as late as its own need or its target says.
    const need = { voice: 130, picture: 30 };
    let target: Record<string, number | null> = {};
    for (let second = 0; second < 6; second += 1) {
      const picture = Math.max(need.picture, target["main-0"] ?? 0);
      target = targets(sync, [playing("audio-0", "audio", 1, need.voice, 130), playing("main-0", "main", 1, picture, picture)]);
    }
    expect(target["audio-0"]).toBeNull();
    expect(Math.abs(need.voice - (target["main-0"] ?? 0))).toBeLessThanOrEqual(25);
  });

  it("give a wait back when it is no longer needed, before the other one is made to wait", () => {
    const sync = new LipSync();
    expect(targets(sync, [playing("audio-0", "audio", 1, 200), playing("main-0", "main", 1, 100, 30)])["main-0"]).toBe(90);
    const after = targets(sync, [playing("audio-0", "audio", 1, 100), playing("main-0", "main", 1, 200, 90)]);
    expect(after).toEqual({ "audio-0": null, "main-0": 30 });
    const last = targets(sync, [playing("audio-0", "audio", 1, 100), playing("main-0", "main", 1, 200, 30)]);
    expect(last["main-0"]).toBeNull();
  });

  it("are left alone when they are close, so targets do not swing", () => {
    expect(targets(new LipSync(), [playing("audio-0", "audio", 1, 100), playing("main-0", "main", 1, 115)])).toEqual({ "audio-0": null, "main-0": null });
  });

  it("have nothing to do with anybody else's, nor with a shared screen", () => {
    const slots = [playing("audio-0", "audio", 1, 40), playing("main-0", "main", 2, 400), playing("screen-0", "screen", 1, 300)];
    expect(Object.values(targets(new LipSync(), slots))).toEqual([null, null, null]);
  });

  it("do not pair in empty slots, nor where the browser cannot tell", () => {
    expect(Object.values(targets(new LipSync(), [playing("audio-0", "audio", undefined, 0), playing("main-0", "main", undefined, 90)]))).toEqual([null, null]);
    expect(Object.values(targets(new LipSync(), [playing("audio-0", "audio", 1, undefined), playing("main-0", "main", 1, 90)]))).toEqual([null, null]);
  });

  it("never wait for more than people can talk over", () => {
    expect(targets(new LipSync(), [playing("audio-0", "audio", 1, 40), playing("main-0", "main", 1, 2_000)])["audio-0"]).toBe(TARGET_MAX_MS);
  });
});

it("the delay of a receiver is that of what it played last", () => {
  const receiver = { getSynchronizationSources: () => [{ timestamp: 1_500, captureTimestamp: 1_200 }] };
  expect(playoutDelayMs(receiver)).toBe(300);
  expect(playoutDelayMs({ getSynchronizationSources: () => [{ timestamp: 1_500 }] })).toBeUndefined();
  expect(playoutDelayMs(undefined)).toBeUndefined();
});
