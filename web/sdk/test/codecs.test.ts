import { describe, expect, it } from "vitest";
import { AUDIO_CODECS, preferred, VIDEO_CODECS } from "../src/codecs";

const codec = (mimeType: string, sdpFmtpLine = "") => ({ mimeType, sdpFmtpLine });

describe("codec preferences", () => {
  it("keep VP8 and its repair stream only", () => {
    const known = ["video/VP8", "video/rtx", "video/VP9", "video/H264", "video/red", "video/ulpfec"].map((m) => codec(m));
    expect(preferred(known, VIDEO_CODECS).map(({ mimeType }) => mimeType)).toEqual(["video/VP8", "video/rtx"]);
  });

  it("put opus before its redundancy, whatever the browser's order", () => {
    const known = ["audio/red", "audio/opus", "audio/PCMU"].map((m) => codec(m));
    expect(preferred(known, AUDIO_CODECS).map(({ mimeType }) => mimeType)).toEqual(["audio/opus", "audio/red"]);
  });

  it("keep everything where nothing wanted is known", () => {
    const known = ["video/H264", "video/rtx"].map((m) => codec(m));
    expect(preferred(known, VIDEO_CODECS)).toEqual(known);
  });
});
