import { describe, expect, it } from "vitest";
import { parseMeetingLink, signalUrlOf } from "../src/link";

describe("meeting link", () => {
  it("takes meeting, token and edge from the address", () => {
    const link = parseMeetingLink("https://edge-1.example:8443/m/0A1B2C3D4E5FG#token=aaa.bbb.ccc");
    expect(link).toMatchObject({
      meeting: "0a1b2c3d4e5fg",
      token: "aaa.bbb.ccc",
      signalUrl: "wss://edge-1.example:8443/v1/signal",
      autojoin: false,
      simulcast: true,
      processing: true,
      audio: true,
      video: true,
      name: undefined,
      maxBitrateBps: undefined,
    });
  });

  it("reads the options", () => {
    const query = "?name=Ada%20L&autojoin=1&simulcast=0&processing=0&maxBitrate=250000&video=0&edge=http://10.0.0.2:9000";
    expect(parseMeetingLink(`http://localhost:8080/m/x1${query}#token=t`)).toMatchObject({
      name: "Ada L",
      autojoin: true,
      simulcast: false,
      processing: false,
      maxBitrateBps: 250_000,
      video: false,
      signalUrl: "ws://10.0.0.2:9000/v1/signal",
    });
  });

  it("has no token where there is none, and takes none from the query, which servers log", () => {
    expect(parseMeetingLink("http://localhost/").token).toBeUndefined();
    expect(parseMeetingLink("http://localhost/m/x1#token=").token).toBeUndefined();
    expect(parseMeetingLink("http://localhost/m/x1?token=abc").token).toBeUndefined();
  });

  it("ignores a rate that is none", () => {
    for (const rate of ["", "fast", "-1", "1.5", "0", "99999999999"]) {
      expect(parseMeetingLink(`http://localhost/?maxBitrate=${rate}`).maxBitrateBps).toBeUndefined();
    }
  });

  it("knows the socket of an edge", () => {
    expect(signalUrlOf("https://e:1")).toBe("wss://e:1/v1/signal");
    expect(signalUrlOf("http://e:1/")).toBe("ws://e:1/v1/signal");
    expect(signalUrlOf("wss://e:1/v1/signal")).toBe("wss://e:1/v1/signal");
  });
});
