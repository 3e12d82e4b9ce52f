import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { member } from "./fakes";
import { SLOTS, World } from "./world";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("joining", () => {
  it("keeps what was told right behind the answer", async () => {
    const meeting = await new World().join();
    expect(meeting.participantId).toBe(1);
    expect(meeting.members.map(({ id }) => id)).toEqual([1]);
    expect(meeting.slots.find(({ key }) => key === "main-0")).toMatchObject({ participant: 7, rid: "f" });
  });

  it("is connected once the media is", async () => {
    const world = new World();
    const meeting = await world.join();
    expect(meeting.state).toBe("connecting");
    world.peer.become("connected");
    expect(meeting.state).toBe("connected");
  });

  it("sends no message at all when the devices are refused", async () => {
    const world = new World();
    world.devices.fail = new DOMException("no", "NotAllowedError");
    await expect(world.join()).rejects.toMatchObject({ code: "permission" });
    await vi.advanceTimersByTimeAsync(5);
    expect(world.socket.sent).toEqual([]);
    expect(world.socket.closed && world.peer.closed).toBe(true);
  });

  it("opens another socket when the edge closed the first while the person thought about the permission", async () => {
    const world = new World();
    let allow = (): void => {};
    const ask = world.devices.getUserMedia.bind(world.devices);
    world.devices.getUserMedia = async (constraints) => {
      await new Promise<void>((resolve) => (allow = resolve));
      return ask(constraints);
    };
    const joining = world.join();
    await vi.advanceTimersByTimeAsync(10_000);
    world.socket.tell({ type: "error", code: "outOfOrder", message: "Say join.", fatal: true });
    world.socket.onclose?.({} as CloseEvent);
    allow();
    await vi.advanceTimersByTimeAsync(5);
    const meeting = await joining;
    expect(world.sockets).toHaveLength(2);
    expect(world.sockets[0]?.socket.of("join")).toEqual([]);
    expect(meeting.state).toBe("connecting");
  });

  it("throws what the server says and lets go of the devices", async () => {
    const world = new World();
    world.refuse = { type: "error", code: "token", message: "Expired.", fatal: true };
    await expect(world.join()).rejects.toMatchObject({ code: "token", message: "Expired." });
    expect(world.peer.closed).toBe(true);
  });

  it("without devices asks for none and says that both are muted", async () => {
    const world = new World();
    await world.join({ media: { audio: false, video: false } });
    expect(world.devices.asked).toEqual([]);
    expect(world.socket.of("mute")).toEqual([
      { type: "mute", kind: "mic", muted: true },
      { type: "mute", kind: "camera", muted: true },
    ]);
  });
});

describe("muting", () => {
  it("takes the track from the peer, so that nothing is sent", async () => {
    const world = new World();
    const meeting = await world.join();
    await meeting.setMuted("mic", true);
    expect(world.peer.published.get("mic")).toBeNull();
    await meeting.setMuted("mic", false);
    expect(world.peer.published.get("mic")).toMatchObject({ kind: "audio", enabled: true });
    expect(world.devices.asked).toHaveLength(1);
  });

  it("closes the camera and opens it again", async () => {
    const world = new World();
    const meeting = await world.join();
    const before = world.peer.published.get("camera") as { readyState: string };
    await meeting.setMuted("camera", true);
    expect(before.readyState).toBe("ended");
    expect(meeting.localStream.getTracks()).toHaveLength(1);
    await meeting.setMuted("camera", false);
    expect(world.peer.published.get("camera")).toMatchObject({ readyState: "live" });
    expect(world.devices.asked).toHaveLength(2);
  });
});

describe("a lost socket", () => {
  it("is replaced by a new join, while the old peer plays until the new one is connected", async () => {
    const world = new World();
    const meeting = await world.join();
    world.peer.become("connected");
    const old = world.peer;
    world.socket.onclose?.({} as CloseEvent);
    expect(meeting.state).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(110);
    expect(meeting.participantId).toBe(2);
    expect(old.closed).toBe(false);
    world.peer.become("connected");
    expect(old.closed).toBe(true);
    expect(meeting.state).toBe("connected");
    expect(world.states()).toEqual(["connected", "reconnecting", "connected"]);
  });

  it("is tried again later and later, and not twice at once", async () => {
    const world = new World();
    await world.join();
    world.up = false;
    world.socket.onclose?.({} as CloseEvent);
    world.peer.become("failed");
    await vi.advanceTimersByTimeAsync(100 + 200 + 400 + 800 + 10);
    expect(world.sockets).toHaveLength(1 + 4);
    const tries = world.events.filter(([event]) => event === "reconnecting").map(([, payload]) => payload);
    expect(tries.slice(0, 3)).toEqual([1, 2, 3].map((attempt) => expect.objectContaining({ attempt, inMs: 50 * 2 ** attempt })));
  });

  it("is replaced at another edge when its own is gone", async () => {
    const world = new World();
    const meeting = await world.join();
    world.peer.become("connected");
    world.socket.tell({ type: "edges", edges: ["http://b:80", "https://c"] });
    const own = world.sockets[0]?.url;
    world.up = false;
    world.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(100 + 200 + 400 + 10);
    expect(world.sockets.slice(1).map((s) => s.url)).toEqual([own, "ws://b/v1/signal", "wss://c/v1/signal"]);
    world.up = true;
    await vi.advanceTimersByTimeAsync(810);
    world.peer.become("connected");
    expect(meeting.state).toBe("connected");
  });

  it("of the other regions alone is told, and ends with a snapshot of the roster", async () => {
    const world = new World();
    const meeting = await world.join();
    world.peer.become("connected");
    world.socket.tell({ type: "error", code: "unavailable", message: "no way to the others", fatal: false });
    expect(meeting.state).toBe("reconnecting");
    expect(world.events).toContainEqual(["error", expect.objectContaining({ message: "No way to the others." })]);
    world.socket.tell({ type: "roster", seq: 2, snapshot: true, put: [member(1), member(2)], removed: [] });
    expect(meeting.state).toBe("connected");
    expect(world.sockets).toHaveLength(1);
  });

  it("goes to the edges that a busy one names", async () => {
    const world = new World();
    await world.join();
    world.refuse = { type: "error", code: "busy", message: "Full.", fatal: true, edges: ["http://b:80"] };
    world.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(102);
    world.refuse = undefined;
    await vi.advanceTimersByTimeAsync(210);
    expect(world.sockets.map(({ url }) => url)).toEqual(["ws://a/v1/signal", "ws://a/v1/signal", "ws://b/v1/signal"]);
  });

  it("keeps what is muted muted", async () => {
    const world = new World();
    const meeting = await world.join();
    await meeting.setMuted("mic", true);
    world.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(110);
    expect(world.socket.of("mute")).toEqual([{ type: "mute", kind: "mic", muted: true }]);
    expect(world.peer.published.get("mic")).toBeNull();
    expect(world.peer.published.get("camera")).not.toBeNull();
  });

  it("ends the meeting when the server does not want us back", async () => {
    const world = new World();
    const meeting = await world.join();
    world.refuse = { type: "error", code: "token", message: "Removed.", fatal: true };
    world.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(110);
    expect(meeting.state).toBe("ended");
    expect(world.events).toContainEqual(["ended", { reason: "Removed." }]);
  });
});

describe("a broken path", () => {
  it("gets an ICE restart when it does not heal by itself", async () => {
    const world = new World();
    await world.join();
    world.peer.become("connected");
    world.peer.become("disconnected");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.socket.of("renegotiate")).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_010);
    expect(world.peer.offers.at(-1)).toEqual({ restart: true });
    expect(world.socket.of("renegotiate")).toHaveLength(1);
  });
});

describe("a device", () => {
  it("that is unplugged is told, here and to the others", async () => {
    const world = new World();
    const meeting = await world.join();
    (world.peer.published.get("mic") as MediaStreamTrack).onended?.(new Event("ended"));
    await vi.advanceTimersByTimeAsync(1);
    expect(world.peer.published.get("mic")).toBeNull();
    expect(meeting.isMuted("mic")).toBe(true);
    expect(world.socket.of("mute")).toEqual([{ type: "mute", kind: "mic", muted: true }]);
    expect(world.events).toContainEqual(["error", expect.objectContaining({ code: "device", problem: "lost" })]);
  });

  it("that is changed is published, and nobody is told of a mute", async () => {
    const world = new World();
    const meeting = await world.join();
    await meeting.setDevice("camera", "c2");
    expect(world.devices.asked.at(-1)?.video).toMatchObject({ deviceId: { exact: "c2" }, width: { ideal: 1280 } });
    expect(world.peer.published.get("camera")).toMatchObject({ readyState: "live" });
    expect(world.socket.of("mute")).toEqual([]);
  });
});

describe("a gallery", () => {
  it("adds slots with one offer, once", async () => {
    const world = new World();
    const meeting = await world.join();
    const growing = meeting.growSlots({ video: 24 });
    await vi.advanceTimersByTimeAsync(1);
    world.socket.tell({ type: "renegotiated", sdp: "answer 2", slots: [...SLOTS, { mid: "4", role: "strip" }] });
    await growing;
    await meeting.growSlots({ video: 24 });
    expect(world.peer.slotsAdded).toEqual([["audio", 0], ["video", 11]]);
    expect(world.socket.of("renegotiate")).toHaveLength(1);
    expect(meeting.slots.map(({ key }) => key)).toEqual(["audio-0", "main-0", "strip-0"]);
  });

  it("of more than the edge answers is refused", async () => {
    const meeting = await new World().join();
    await expect(meeting.growSlots({ video: 80 })).rejects.toMatchObject({ code: "sdp" });
  });
});

describe("a screen", () => {
  it("is one new line, once", async () => {
    const world = new World();
    const meeting = await world.join();
    const sharing = meeting.startScreenShare();
    await vi.advanceTimersByTimeAsync(1);
    world.socket.tell({ type: "renegotiated", sdp: "answer 2", slots: SLOTS });
    await sharing;
    expect(world.peer.answers).toEqual(["answer", "answer 2"]);
    expect(world.peer.published.get("screen")).toMatchObject({ contentHint: "text" });
    await meeting.stopScreenShare();
    expect(world.peer.published.get("screen")).toBeNull();
    await meeting.startScreenShare();
    expect(world.socket.of("renegotiate")).toHaveLength(1);
  });

  it("that is refused is taken back", async () => {
    const world = new World();
    const meeting = await world.join();
    const sharing = meeting.startScreenShare();
    const refused = expect(sharing).rejects.toMatchObject({ code: "forbidden" });
    await vi.advanceTimersByTimeAsync(1);
    world.socket.tell({ type: "error", code: "forbidden", message: "Watch only.", fatal: false });
    await refused;
    expect(world.peer.rolledBack).toBe(1);
    expect(meeting.isMuted("screen")).toBe(true);
  });
});

describe("the end", () => {
  it("lets go of everything", async () => {
    const world = new World();
    const meeting = await world.join();
    meeting.leave();
    expect(world.socket.of("leave")).toHaveLength(1);
    expect(world.socket.closed && world.peer.closed).toBe(true);
    expect(meeting.localStream.getTracks()).toEqual([]);
    world.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.sockets).toHaveLength(1);
  });
});
