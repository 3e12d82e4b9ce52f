import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { grantsOf } from "../src/grants";
import { HOST_TIMEOUT_MS } from "../src/host";
import { member } from "./fakes";
import { SLOTS, World } from "./world";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const tick = () => vi.advanceTimersByTimeAsync(1);
/** A token with these grants, and a signature that nobody checks here. */
const token = (grants: object) => ["e30", btoa(JSON.stringify({ grants })), "sig"].join(".");
const ATTENDEE = token({ publish: false, subscribe: true, chat: true });

/** A meeting as somebody of this role. */
async function as(role: string, options: object = {}) {
  const world = new World();
  world.joined = { role, owner: role === "host" };
  const meeting = await world.join(options);
  world.peer.become("connected");
  return { world, meeting };
}

describe("a host's actions", () => {
  it("are done when the edge says so", async () => {
    const { world, meeting } = await as("host");
    expect([meeting.role, meeting.owner]).toEqual(["host", true]);
    const doing = [
      meeting.host.mute(7, "mic"), meeting.host.muteAll(true), meeting.host.lowerHand(), meeting.host.lowerHand(7),
      meeting.host.remove(7), meeting.host.remove(7, { block: true }), meeting.host.setRole(7, "attendee"), meeting.host.handOver(7),
      meeting.host.reclaim(), meeting.host.lock(true), meeting.host.waitingRoom(true), meeting.host.lockChat(true),
      meeting.host.pinShare(7), meeting.host.pinShare(), meeting.host.admit(8), meeting.host.admit(), meeting.host.deny(8),
    ];
    const sent = world.socket.of("host");
    expect(sent.map(({ action }) => action)).toEqual([
      { do: "mute", target: 7, kind: "mic" }, { do: "muteAll", butHosts: true }, { do: "lowerHand" }, { do: "lowerHand", target: 7 },
      { do: "remove", target: 7, block: false }, { do: "remove", target: 7, block: true }, { do: "setRole", target: 7, role: "attendee" },
      { do: "handOver", target: 7 }, { do: "reclaim" }, { do: "lock", on: true }, { do: "waitingRoom", on: true },
      { do: "lockChat", on: true }, { do: "pinShare", target: 7 }, { do: "pinShare" }, { do: "admit", target: 8 }, { do: "admit" },
      { do: "deny", target: 8 },
    ]);
    for (const { key } of sent) world.socket.tell({ type: "done", key });
    await Promise.all(doing);
  });

  it("that are refused say why, each for itself", async () => {
    const { world, meeting } = await as("panelist");
    const first = meeting.host.lock(true);
    const second = meeting.host.mute(7, "camera");
    const [a, b] = world.socket.of("host").map(({ key }) => key);
    world.socket.tell({ type: "done", key: b });
    world.socket.tell({ type: "done", key: a, refused: "only hosts may lock the meeting" });
    await expect(first).rejects.toMatchObject({ code: "forbidden", message: "Only hosts may lock the meeting." });
    await expect(second).resolves.toBeUndefined();
  });

  it("fail with the socket, and without an answer", async () => {
    const { world, meeting } = await as("host");
    const lost = expect(meeting.host.lock(true)).rejects.toMatchObject({ code: "network" });
    await world.breaks();
    await lost;
    const late = expect(meeting.host.lock(true)).rejects.toMatchObject({ code: "timeout" });
    await vi.advanceTimersByTimeAsync(HOST_TIMEOUT_MS);
    await late;
  });
});

describe("what hosts are told", () => {
  it("is how the meeting is set and who knocks, and a former host forgets it", async () => {
    const { world, meeting } = await as("host");
    world.socket.tell({ type: "settings", locked: true, waitingRoom: false, chatLocked: true, pinnedShare: null });
    expect(meeting.settings).toEqual({ locked: true, waitingRoom: false, chatLocked: true, pinnedShare: undefined });
    world.socket.tell({ type: "knocking", people: [{ id: 9, name: "Eve" }], total: 4 });
    expect(meeting.knocking).toEqual({ people: [{ id: 9, name: "Eve" }], total: 4 });
    world.socket.tell({ type: "role", role: "panelist" });
    expect(meeting.knocking.total).toBe(0);
    expect(world.told("role")).toEqual(["panelist"]);
    expect(world.socket.of("renegotiate"), "a panelist has the lines already").toEqual([]);
  });
});

describe("muted by a host", () => {
  it("really is silent here, and says by whom", async () => {
    const { world, meeting } = await as("panelist");
    const camera = world.peer.published.get("camera") as { readyState: string };
    world.socket.tell({ type: "muted", kind: "mic", by: 7 });
    world.socket.tell({ type: "muted", kind: "camera", by: 7 });
    await tick();
    expect([world.peer.published.get("mic"), world.peer.published.get("camera")]).toEqual([null, null]);
    expect([meeting.isMuted("mic"), meeting.isMuted("camera"), camera.readyState]).toEqual([true, true, "ended"]);
    expect(world.told("muted")).toEqual([{ kind: "mic", muted: true, by: 7 }, { kind: "camera", muted: true, by: 7 }]);
    expect(world.socket.of("mute").map(({ kind }) => kind)).toEqual(["mic", "camera"]);
    await world.breaks();
    expect(world.peer.published.get("mic"), "also after a reconnect").toBeNull();
    await meeting.setMuted("mic", false);
    expect(world.told("muted").at(-1)).toEqual({ kind: "mic", muted: false });
  });

  it("is not told of what is silent already", async () => {
    const { world, meeting } = await as("panelist");
    await meeting.setMuted("mic", true);
    world.socket.tell({ type: "muted", kind: "mic", by: 7 });
    await tick();
    expect(world.told("muted")).toEqual([{ kind: "mic", muted: true }]);
  });

  it("stops sharing", async () => {
    const { world, meeting } = await as("panelist");
    const sharing = meeting.startScreenShare();
    await tick();
    world.socket.tell({ type: "renegotiated", sdp: "answer 2", slots: SLOTS });
    await sharing;
    world.socket.tell({ type: "muted", kind: "screen", by: 7 });
    await tick();
    expect(world.peer.published.get("screen")).toBeNull();
    expect(world.told("muted").at(-1)).toEqual({ kind: "screen", muted: true, by: 7 });
  });
});

describe("a raised hand", () => {
  it("stays up across a reconnect, and is lowered by a host", async () => {
    const { world, meeting } = await as("panelist");
    meeting.setHand(true);
    world.socket.tell({ type: "roster", seq: 2, snapshot: false, put: [member(1)], removed: [] });
    expect(meeting.handRaised, "an entry from before").toBe(true);
    world.socket.tell({ type: "roster", seq: 3, snapshot: false, put: [member(1, { hand: 3 })], removed: [] });
    await world.breaks();
    expect(world.socket.of("hand")).toEqual([{ type: "hand", raised: true }]);
    world.socket.tell({ type: "roster", seq: 4, snapshot: false, put: [member(2, { hand: 4 })], removed: [] });
    world.socket.tell({ type: "roster", seq: 5, snapshot: false, put: [member(2)], removed: [] });
    expect(world.told("hand")).toEqual([true, false]);
    await world.breaks();
    expect(world.socket.of("hand")).toEqual([]);
  });
});

describe("an attendee", () => {
  it("has receive slots only and is asked for no device", async () => {
    const { world, meeting } = await as("attendee", { token: ATTENDEE });
    expect(world.devices.asked).toEqual([]);
    expect(world.socket.of("join")).toEqual([expect.objectContaining({ publish: [] })]);
    expect(world.socket.of("mute")).toEqual([]);
    await expect(meeting.setMuted("mic", false)).rejects.toMatchObject({ code: "forbidden" });
    await expect(meeting.startScreenShare()).rejects.toMatchObject({ code: "forbidden" });
    expect(world.devices.asked).toEqual([]);
  });

  it("who is promoted adds the sources with one offer, silent until they want it otherwise", async () => {
    const { world, meeting } = await as("attendee", { token: ATTENDEE });
    world.socket.tell({ type: "role", role: "panelist" });
    await tick();
    world.socket.tell({ type: "renegotiated", sdp: "answer 2", slots: SLOTS });
    await tick();
    expect(world.socket.of("renegotiate")).toEqual([
      { type: "renegotiate", sdp: "offer", publish: [{ mid: "0", kind: "mic" }, { mid: "1", kind: "camera" }] },
    ]);
    expect(world.socket.of("mute").map(({ muted }) => muted)).toEqual([true, true]);
    expect(world.devices.asked).toEqual([]);
    await meeting.setMuted("mic", false);
    expect(world.peer.published.get("mic")).toMatchObject({ kind: "audio" });
    expect(world.told("role")).toEqual(["panelist"]);
  });

  it("again stops everything", async () => {
    const { world, meeting } = await as("panelist");
    const mic = world.peer.published.get("mic") as { readyState: string };
    world.socket.tell({ type: "role", role: "attendee" });
    await tick();
    expect([world.peer.published.get("mic"), world.peer.published.get("camera"), mic.readyState]).toEqual([null, null, "ended"]);
    expect(world.told("muted")).toEqual([{ kind: "mic", muted: true }, { kind: "camera", muted: true }]);
    expect(world.socket.of("mute"), "an attendee has nothing to mute").toEqual([]);
    expect(meeting.localStream.getTracks()).toEqual([]);
  });

  it("who comes back as a panelist gets the sources", async () => {
    const { world } = await as("attendee", { token: ATTENDEE });
    world.joined = { role: "panelist" };
    await world.breaks();
    expect(world.socket.of("renegotiate")).toHaveLength(1);
    expect(world.peer.sources).toBe(true);
  });
});

describe("the waiting room", () => {
  it("is waited in for as long as a host takes", async () => {
    const world = new World();
    world.waits = true;
    world.pongs = false;
    const waiting = vi.fn();
    const joining = world.joining({ onWaiting: waiting, timeoutMs: 1_000 });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(waiting).toHaveBeenCalledOnce();
    world.answer();
    await tick();
    expect((await joining).participantId).toBe(1);
  });

  it("is left without a trace", async () => {
    const world = new World();
    world.waits = true;
    const leave = new AbortController();
    const failed = expect(world.joining({ signal: leave.signal })).rejects.toMatchObject({ code: "ended" });
    await vi.advanceTimersByTimeAsync(20);
    leave.abort();
    await failed;
    await tick();
    expect(world.socket.of("leave")).toHaveLength(1);
    expect(world.socket.closed && world.peer.closed).toBe(true);
  });

  it("sends one away with a sentence", async () => {
    const world = new World();
    world.waits = true;
    const failed = expect(world.joining()).rejects.toMatchObject({ code: "forbidden", message: "The host did not let you in." });
    await vi.advanceTimersByTimeAsync(20);
    world.socket.tell({ type: "error", code: "forbidden", message: "the host did not let you in", fatal: true });
    await failed;
  });

  it("is a state after a reconnect, and may be left then too", async () => {
    const { world, meeting } = await as("panelist");
    world.waits = true;
    world.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(meeting.state).toBe("waiting");
    meeting.leave();
    await tick();
    expect(world.socket.of("leave")).toHaveLength(1);
    expect([world.sockets.length, world.socket.closed, meeting.state]).toEqual([2, true, "ended"]);
  });

  it("ends with the meeting as it was", async () => {
    const { world, meeting } = await as("panelist");
    world.waits = true;
    world.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(5_000);
    world.answer();
    await tick();
    world.peer.become("connected");
    expect(world.states()).toEqual(["connected", "reconnecting", "waiting", "reconnecting", "connected"]);
    expect(meeting.participantId).toBe(2);
  });
});

describe("a large meeting", () => {
  it("says how many attendees there are, and who on request", async () => {
    const { world, meeting } = await as("panelist");
    world.socket.tell({ type: "roster", seq: 2, snapshot: true, put: [member(1)], removed: [], attendees: 300 });
    world.socket.tell({ type: "roster", seq: 3, snapshot: false, put: [], removed: [] });
    expect(meeting.attendees).toBe(300);
    const first = meeting.rosterPage();
    const second = meeting.rosterPage({ after: 5, search: "ann" });
    expect(world.socket.of("rosterPage")).toEqual([{ type: "rosterPage" }]);
    world.socket.tell({ type: "rosterPage", members: [member(5)], next: 5 });
    await expect(first).resolves.toEqual({ members: [member(5)], next: 5 });
    expect(world.socket.of("rosterPage").at(-1)).toEqual({ type: "rosterPage", after: 5, search: "ann" });
    world.socket.tell({ type: "rosterPage", members: [] });
    await expect(second).resolves.toEqual({ members: [], next: undefined });
    world.socket.tell({ type: "roster", seq: 4, snapshot: true, put: [member(1)], removed: [] });
    expect(meeting.attendees).toBeUndefined();
  });

  it("gives pages one a second, however fast they are turned", async () => {
    const { world, meeting } = await as("panelist");
    const page = meeting.rosterPage({ search: "ann" });
    world.socket.tell({ type: "error", code: "tooMany", message: "one a second", fatal: false });
    expect(world.told("error")).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(world.socket.of("rosterPage")).toHaveLength(2);
    world.socket.tell({ type: "rosterPage", members: [] });
    await expect(page).resolves.toEqual({ members: [], next: undefined });
  });

  it("lists an attendee while their hand is up, so that it is seen to be lowered", async () => {
    const { world, meeting } = await as("attendee", { token: ATTENDEE });
    const self = member(1, { role: "attendee" });
    world.socket.tell({ type: "roster", seq: 2, snapshot: true, put: [], removed: [], attendees: 300 });
    meeting.setHand(true);
    world.socket.tell({ type: "roster", seq: 3, snapshot: false, put: [], removed: [], attendees: 301 });
    world.socket.tell({ type: "roster", seq: 4, snapshot: false, put: [{ ...self, hand: 4 }], removed: [], attendees: 301 });
    expect(meeting.handRaised).toBe(true);
    world.socket.tell({ type: "roster", seq: 5, snapshot: false, put: [], removed: [1], attendees: 301 });
    expect(world.told("hand")).toEqual([true, false]);
  });
});

describe("being removed", () => {
  it("is the end, and nothing is tried again", async () => {
    const { world, meeting } = await as("panelist");
    world.socket.tell({ type: "ended", reason: "a host removed you from the meeting" });
    world.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([meeting.state, world.sockets.length]).toEqual(["ended", 1]);
    expect(world.told("ended")).toEqual([{ reason: "A host removed you from the meeting." }]);
  });
});

describe("being turned away right after the answer", () => {
  it("is the end with its reason, and no lost connection", async () => {
    const world = new World();
    const answer = world.answer.bind(world);
    world.answer = (socket = world.socket) => {
      answer(socket);
      socket.tell({ type: "error", code: "forbidden", message: "a host has removed you from the meeting", fatal: true });
      socket.onclose?.({} as CloseEvent);
    };
    await expect(world.join()).rejects.toMatchObject({ code: "forbidden" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.sockets.length).toBe(1);
  });
});

describe("a token", () => {
  it("says what it grants; one that cannot be read is the edge's matter", () => {
    expect(grantsOf(ATTENDEE)).toEqual({ publish: false, subscribe: true, chat: true, host: false });
    for (const nonsense of ["", "a.b.c", "e30.e30.x", "e30.bnVsbA.x"]) expect(grantsOf(nonsense).publish).toBe(true);
  });
});
