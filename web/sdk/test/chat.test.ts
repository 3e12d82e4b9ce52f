import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CHAT_AGAIN_MS, CHAT_KEPT_MAX } from "../src/chat";
import { World } from "./world";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A message as the edge tells it. */
const told = (key: number, more: object = {}) => ({ key, atMs: key, from: 7, name: "Ada", text: `text ${key}`, ...more });
const chat = (...messages: object[]) => ({ type: "chat", messages });

async function joined() {
  const world = new World();
  const meeting = await world.join();
  world.peer.become("connected");
  return { world, meeting, texts: () => meeting.chat.map(({ text }) => text) };
}

describe("what others write", () => {
  it("stands in the meeting's order, once, whatever is told twice", async () => {
    const { world, meeting, texts } = await joined();
    world.socket.tell(chat(told(3), told(5)));
    world.socket.tell(chat(told(5)));
    world.socket.tell(chat(told(4), told(6)));
    expect(texts()).toEqual(["text 3", "text 4", "text 5", "text 6"]);
    expect(world.told("chat")).toHaveLength(2);
    expect(meeting.chat[0]).toEqual({ ...told(3), to: undefined, own: false, pending: false });
  });

  it("is kept up to a limit", async () => {
    const { world, meeting } = await joined();
    world.socket.tell(chat(...Array.from({ length: CHAT_KEPT_MAX + 5 }, (_, i) => told(i + 1))));
    expect([meeting.chat.length, meeting.chat[0]?.key]).toEqual([CHAT_KEPT_MAX, 6]);
  });
});

describe("what is written here", () => {
  it("is pending until it comes back in its place", async () => {
    const { world, meeting } = await joined();
    const writing = meeting.sendChat("hello", { to: 9 });
    const [sent] = world.socket.of("chat") as { key: number; to: number; text: string }[];
    expect(sent).toMatchObject({ to: 9, text: "hello" });
    expect(Number.isSafeInteger(sent?.key)).toBe(true);
    expect(meeting.chat).toMatchObject([{ text: "hello", own: true, pending: true, from: 1 }]);
    world.socket.tell(chat(told(sent!.key, { atMs: 50, from: 1, to: 9, text: "hello" })));
    await expect(writing).resolves.toMatchObject({ atMs: 50, own: true, to: 9 });
    expect(meeting.chat).toMatchObject([{ text: "hello", pending: false }]);
  });

  it("goes out one after the other, in the order it was written", async () => {
    const { world, meeting } = await joined();
    void meeting.sendChat("one");
    void meeting.sendChat("two");
    expect(world.socket.of("chat").map(({ text }) => text)).toEqual(["one"]);
    world.socket.tell(chat(told(world.socket.of("chat")[0]!["key"] as number)));
    expect(world.socket.of("chat").map(({ text }) => text)).toEqual(["one", "two"]);
  });

  it("has a key of its own each time", async () => {
    const { world, meeting } = await joined();
    for (let i = 0; i < 20; i += 1) {
      void meeting.sendChat("x");
      world.socket.tell(chat(told(world.socket.of("chat").at(-1)!["key"] as number)));
    }
    expect(new Set(world.socket.of("chat").map(({ key }) => key)).size).toBe(20);
  });

  it("is said again with the same key until it has come back, also at another edge", async () => {
    const { world, meeting, texts } = await joined();
    void meeting.sendChat("hello");
    const key = world.socket.of("chat")[0]!["key"];
    await vi.advanceTimersByTimeAsync(CHAT_AGAIN_MS + 10);
    expect(world.socket.of("chat").map((m) => m["key"])).toEqual([key, key]);
    await world.breaks();
    expect(world.socket.of("chat")).toEqual([{ type: "chat", key, text: "hello" }]);
    // The first one had arrived: the history of the new edge has it.
    world.socket.tell(chat(told(key as number, { from: 1, text: "hello" })));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.socket.of("chat")).toHaveLength(1);
    expect(texts()).toEqual(["hello"]);
    expect(meeting.chat[0]).toMatchObject({ own: true, pending: false });
  });

  it("is not lost while there is no edge", async () => {
    const { world, meeting } = await joined();
    world.up = false;
    world.socket.onclose?.({} as CloseEvent);
    void meeting.sendChat("later");
    await vi.advanceTimersByTimeAsync(300);
    world.up = true;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(world.socket.of("chat").map(({ text }) => text)).toEqual(["later"]);
  });

  it("and refused is told to the writer, and the next one goes out", async () => {
    const { world, meeting } = await joined();
    const refused = expect(meeting.sendChat("no")).rejects.toMatchObject({ code: "forbidden", message: "Only hosts may write." });
    void meeting.sendChat("next");
    world.socket.tell({ type: "error", code: "forbidden", message: "only hosts may write", fatal: false });
    await refused;
    expect(world.socket.of("chat").map(({ text }) => text)).toEqual(["no", "next"]);
    expect(world.told("error")).toEqual([]);
  });

  it("too fast waits a moment", async () => {
    const { world, meeting } = await joined();
    void meeting.sendChat("fast");
    world.socket.tell({ type: "error", code: "tooMany", message: "slow down", fatal: false, retryAfterMs: 700 });
    await vi.advanceTimersByTimeAsync(690);
    expect(world.socket.of("chat")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(20);
    expect(world.socket.of("chat")).toHaveLength(2);
  });

  it("without anything in it, or too long, is refused here", async () => {
    const { world, meeting } = await joined();
    await expect(meeting.sendChat("  \n")).rejects.toMatchObject({ code: "malformed" });
    await expect(meeting.sendChat("x".repeat(2_001))).rejects.toMatchObject({ code: "malformed" });
    expect(world.socket.of("chat")).toEqual([]);
  });

  it("fails when the meeting ends first", async () => {
    const { meeting } = await joined();
    const failed = expect(meeting.sendChat("x")).rejects.toMatchObject({ code: "ended" });
    meeting.leave();
    await failed;
  });
});
