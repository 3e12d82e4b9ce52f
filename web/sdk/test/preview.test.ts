import { describe, expect, it } from "vitest";
import { Preview, type PreviewDevices } from "../src/preview";
import { FakeDevices, FakeStream, FakeTrack } from "./fakes";

const named = (name: string): DOMException => new DOMException("no", name);

/** Devices of which some fail, and which can be plugged in. */
class Desk extends FakeDevices {
  broken: { audio?: string; video?: string } = {};
  listed = [
    { kind: "audioinput", deviceId: "m1", label: "Headset" },
    { kind: "videoinput", deviceId: "c1", label: "Webcam" },
    { kind: "audiooutput", deviceId: "s1", label: "Speaker" },
  ];
  changed: (() => void) | undefined;

  override getUserMedia(constraints: MediaStreamConstraints): Promise<MediaStream> {
    const name = (constraints.audio && this.broken.audio) || (constraints.video && this.broken.video);
    if (!name) return super.getUserMedia(constraints);
    this.asked.push(constraints);
    return Promise.reject(named(name));
  }
  enumerateDevices(): Promise<MediaDeviceInfo[]> {
    return Promise.resolve(this.listed as MediaDeviceInfo[]);
  }
  addEventListener(_type: string, listener: () => void): void {
    this.changed = listener;
  }
  removeEventListener(): void {
    this.changed = undefined;
  }
}

function preview(desk: Desk, options: ConstructorParameters<typeof Preview>[0] = {}): Preview {
  return new Preview(options, desk as unknown as PreviewDevices, new FakeStream() as unknown as MediaStream);
}

describe("a preview", () => {
  it("opens both with one question, and lists what can be chosen", async () => {
    const desk = new Desk();
    const look = preview(desk);
    await look.start();
    expect(desk.asked).toHaveLength(1);
    expect([look.mic.status, look.camera.status]).toEqual(["live", "live"]);
    expect(look.devices("mic").map(({ label }) => label)).toEqual(["Headset"]);
    expect(look.stream.getTracks()).toHaveLength(2);
  });

  it("has the microphone when only the camera is missing", async () => {
    const desk = new Desk();
    desk.broken = { video: "NotFoundError" };
    const look = preview(desk);
    await look.start();
    expect(look.mic.status).toBe("live");
    expect(look.camera).toMatchObject({ status: "failed", problem: "missing" });
    expect(look.take()).toMatchObject({ audio: { kind: "audio" }, video: false });
  });

  it.each([
    ["NotAllowedError", "denied"],
    ["NotReadableError", "busy"],
    ["OverconstrainedError", "missing"],
    ["TypeError", "failed"],
  ])("says of %s that it is %s", async (name, problem) => {
    const desk = new Desk();
    desk.broken = { audio: name, video: name };
    const look = preview(desk);
    await look.start();
    expect([look.mic.problem, look.camera.problem]).toEqual([problem, problem]);
  });

  it("asks for nothing that is off, and lets go of what is turned off", async () => {
    const desk = new Desk();
    const look = preview(desk, { camera: { on: false } });
    await look.start();
    expect(desk.asked).toEqual([{ audio: {} }]);
    const track = look.track("mic") as unknown as FakeTrack;
    await look.setOn("mic", false);
    expect(track.readyState).toBe("ended");
    expect(look.stream.getTracks()).toEqual([]);
    expect(look.take()).toMatchObject({ audio: false, video: false });
  });

  it("prefers the remembered device and insists on a chosen one", async () => {
    const desk = new Desk();
    const look = preview(desk, { mic: { deviceId: "gone" }, camera: { on: false } });
    await look.start();
    await look.choose("mic", "m1");
    expect(desk.asked.map(({ audio }) => (audio as MediaTrackConstraints).deviceId)).toEqual([{ ideal: "gone" }, { exact: "m1" }]);
    expect(look.take().later?.mic).toEqual({ deviceId: { ideal: "m1" } });
  });

  it("lets a late answer to an older question go", async () => {
    const desk = new Desk();
    const look = preview(desk, { camera: { on: false } });
    const answers: ((stream: MediaStream) => void)[] = [];
    desk.getUserMedia = () => new Promise((resolve) => answers.push(resolve));
    const first = look.start();
    const second = look.choose("mic", "m1");
    const streams = [0, 1].map(() => new FakeStream());
    for (const stream of streams) stream.addTrack(new FakeTrack("audio") as unknown as MediaStreamTrack);
    answers[1]?.(streams[1] as unknown as MediaStream);
    answers[0]?.(streams[0] as unknown as MediaStream);
    await Promise.all([first, second]);
    expect(streams[0]?.getTracks()[0]?.readyState).toBe("ended");
    expect(look.stream.getTracks()).toEqual(streams[1]?.getTracks());
  });

  it("uses a device as soon as it is plugged in, and says when it was pulled out", async () => {
    const desk = new Desk();
    desk.broken = { video: "NotFoundError" };
    const look = preview(desk);
    await look.start();
    desk.broken = {};
    desk.changed?.();
    await new Promise((done) => setTimeout(done));
    expect(look.camera.status).toBe("live");
    look.track("camera")?.onended?.(new Event("ended"));
    expect(look.camera).toMatchObject({ status: "failed", problem: "lost" });
  });

  it("is ready when nothing is being opened any more", async () => {
    const look = preview(new Desk());
    void look.start().then(() => look.choose("mic", "m1"));
    await look.ready();
    expect([look.mic.status, look.camera.status]).toEqual(["live", "live"]);
  });

  it("hands its tracks over: closing it afterwards stops nothing", async () => {
    const look = preview(new Desk());
    await look.start();
    const { audio, video } = look.take() as unknown as Record<string, FakeTrack>;
    look.close();
    expect([audio?.readyState, video?.readyState]).toEqual(["live", "live"]);
  });
});
