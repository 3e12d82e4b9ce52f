import { describe, expect, it } from "vitest";
import { AUDIO_CODECS, preferred, VIDEO_CODECS, withStartRate } from "../src/codecs";

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

describe("the rate a camera starts at", () => {
  const line = (kind: string, direction: string) =>
    `m=${kind} 9 UDP/TLS/RTP/SAVPF 96 97\r\na=${direction}\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n`;

  it("is said for the pictures the edge receives, and nowhere else", () => {
    const answer = `v=0\r\n${line("video", "recvonly")}${line("video", "sendonly")}`;
    const [, camera, slot] = withStartRate(answer, 700).split(/(?=^m=)/m);
    expect(camera).toContain("a=rtpmap:96 VP8/90000\r\na=fmtp:96 x-google-start-bitrate=700\r\n");
    expect(slot).toBe(line("video", "sendonly"));
  });
});
