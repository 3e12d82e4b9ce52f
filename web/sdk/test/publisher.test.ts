import { describe, expect, it } from "vitest";
import type { MediaOptions } from "../src/options";
import { Publisher, type Devices } from "../src/publisher";
import { FakeDevices, FakeStream, FakeTrack } from "./fakes";

function made(media: MediaOptions = {}) {
  const devices = new FakeDevices();
  const published: [string, unknown][] = [];
  const publish = (kind: string, track: unknown): Promise<void> => Promise.resolve(void published.push([kind, track]));
  const publisher = new Publisher(media, devices as unknown as Devices, new FakeStream() as unknown as MediaStream);
  return { devices, published, publish, publisher };
}

describe("own sources", () => {
  it("take open tracks without asking", async () => {
    const audio = new FakeTrack("audio") as unknown as MediaStreamTrack;
    const { publisher, devices } = made({ audio, video: false, later: { camera: { deviceId: "c1" } } });
    await publisher.open();
    expect(devices.asked).toEqual([]);
    expect([publisher.track("mic"), publisher.muted("mic"), publisher.muted("camera")]).toEqual([audio, false, true]);
  });

  it("open later what was chosen before", async () => {
    const { publisher, devices, publish } = made({ audio: false, video: false, later: { camera: { deviceId: "c1" } } });
    await publisher.open();
    await publisher.setMuted("camera", false, publish);
    expect(devices.asked).toEqual([{ audio: false, video: { deviceId: "c1" } }]);
  });

  it("change to another device at once, or when they are unmuted", async () => {
    const { publisher, devices, publish, published } = made();
    await publisher.open();
    const first = publisher.track("mic") as unknown as FakeTrack;
    await publisher.setDevice("mic", { deviceId: "m2" }, publish);
    expect(first.readyState).toBe("ended");
    expect(published).toEqual([["mic", publisher.track("mic")]]);
    await publisher.setMuted("camera", true, publish);
    await publisher.setDevice("camera", { deviceId: "c2" }, publish);
    expect(devices.asked).toHaveLength(2);
    await publisher.setMuted("camera", false, publish);
    expect(devices.asked.at(-1)).toEqual({ audio: false, video: { deviceId: "c2" } });
  });

  it("are muted, not broken, when another device cannot be opened", async () => {
    const { publisher, devices, publish, published } = made();
    await publisher.open();
    devices.fail = new DOMException("busy", "NotReadableError");
    await expect(publisher.setDevice("mic", { deviceId: "m2" }, publish)).rejects.toMatchObject({ problem: "busy" });
    expect(publisher.muted("mic")).toBe(true);
    expect(published).toEqual([["mic", null]]);
  });

  it("tell that a device went away by itself", async () => {
    const { publisher } = made();
    await publisher.open();
    const lost: string[] = [];
    publisher.onlost = (kind) => void lost.push(kind);
    publisher.track("camera")?.onended?.(new Event("ended"));
    expect([lost, publisher.muted("camera"), publisher.track("camera")]).toEqual([["camera"], true, undefined]);
  });

  it("share a screen for text or for movement, and change their mind", async () => {
    const { publisher } = made();
    const track = await publisher.openScreen("motion", () => {});
    expect(track.contentHint).toBe("motion");
    publisher.hintScreen("detail");
    expect(track.contentHint).toBe("text");
  });
});
