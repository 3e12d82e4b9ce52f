import { describe, expect, it, vi } from "vitest";
import { encodingFor, fitEncodings, SIMULCAST } from "../src/encodings";

const sizes = (lines: number) =>
  Object.fromEntries(
    SIMULCAST.map(({ rid }) => {
      const { scaleResolutionDownBy, active } = encodingFor(rid ?? "", lines);
      return [rid, active ? lines / scaleResolutionDownBy : 0];
    }),
  );

describe("simulcast", () => {
  it("has 180, 360 and 720 lines of a camera that gives 720", () => {
    expect(sizes(720)).toEqual({ q: 180, h: 360, f: 720 });
  });

  it("keeps the meaning of q and h for a small camera, which has no f", () => {
    expect(sizes(360)).toEqual({ q: 180, h: 360, f: 0 });
    expect(sizes(480)).toEqual({ q: 240, h: 480, f: 0 });
  });

  it("is fitted to the track, and only when something changes", async () => {
    const parameters = { encodings: SIMULCAST.map((encoding) => ({ ...encoding, active: true })) };
    const setParameters = vi.fn(() => Promise.resolve());
    const sender = { getParameters: () => parameters, setParameters } as unknown as RTCRtpSender;
    const track = (height: number) => ({ getSettings: () => ({ height }) }) as MediaStreamTrack;
    await fitEncodings(sender, track(720));
    expect(setParameters).not.toHaveBeenCalled();
    await fitEncodings(sender, track(360));
    expect(setParameters).toHaveBeenCalledOnce();
    expect(parameters.encodings.map(({ active }) => active)).toEqual([true, true, false]);
    await fitEncodings(sender, track(720));
    expect(parameters.encodings.map(({ active }) => active)).toEqual([true, true, true]);
  });
});
