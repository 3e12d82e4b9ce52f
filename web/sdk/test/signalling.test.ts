import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MeshError } from "../src/errors";
import type { ClientMessage } from "../src/generated/ClientMessage";
import { parseServerMessage, PING_EVERY_MS, Signalling } from "../src/signalling";
import { FakeSocket } from "./fakes";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

async function opened() {
  const socket = new FakeSocket();
  const handlers = { message: vi.fn(), closed: vi.fn() };
  const opening = Signalling.open("ws://edge", handlers, 1_000, () => socket);
  socket.onopen?.(new Event("open"));
  return { socket, handlers, signalling: await opening };
}

const join = { type: "join", version: 1, token: "t", sdp: "", publish: [] } satisfies ClientMessage as ClientMessage;

describe("frames", () => {
  it("that are no messages are nothing", () => {
    for (const data of ["", "{", "null", "7", "[]", '{"type":7}', '{"type":"later"}', new ArrayBuffer(3)]) {
      expect(parseServerMessage(data)).toBeUndefined();
    }
  });

  it("of a known type are messages", () => {
    expect(parseServerMessage('{"type":"pong","id":1}')).toEqual({ type: "pong", id: 1 });
  });
});

describe("signalling", () => {
  it("hands an answer to the request and the rest to the handler", async () => {
    const { socket, handlers, signalling } = await opened();
    const answer = signalling.request(join, "joined", 1_000);
    socket.tell({ type: "floor", main: null, recent: [] });
    socket.tell({ type: "joined", participant: 5 });
    await expect(answer).resolves.toMatchObject({ participant: 5 });
    expect(handlers.message).toHaveBeenCalledExactlyOnceWith({ type: "floor", main: null, recent: [] });
    expect(JSON.parse(socket.sent[0]!)).toEqual(join);
  });

  it("turns a refusal into an error with what the server said", async () => {
    const { socket, signalling } = await opened();
    const answer = signalling.request(join, "joined", 1_000);
    socket.tell({ type: "error", code: "busy", message: "Full.", fatal: true, retryAfterMs: 900, edges: ["http://b:1"] });
    await expect(answer).rejects.toMatchObject({ code: "busy", message: "Full.", retryAfterMs: 900, edges: ["http://b:1"], retryable: true });
  });

  it("gives up waiting", async () => {
    const { signalling } = await opened();
    const answer = signalling.request(join, "joined", 1_000);
    const failed = expect(answer).rejects.toMatchObject({ code: "timeout" });
    await vi.advanceTimersByTimeAsync(1_001);
    await failed;
  });

  it("fails the request when the socket closes, and says that it closed", async () => {
    const { socket, handlers, signalling } = await opened();
    const answer = signalling.request(join, "joined", 1_000);
    socket.onclose?.({} as CloseEvent);
    await expect(answer).rejects.toBeInstanceOf(MeshError);
    expect(handlers.closed).toHaveBeenCalledOnce();
    expect(signalling.isOpen).toBe(false);
  });

  it("finds a dead socket by its silence", async () => {
    const { socket, handlers } = await opened();
    await vi.advanceTimersByTimeAsync(PING_EVERY_MS);
    socket.tell({ type: "pong", id: 1 });
    await vi.advanceTimersByTimeAsync(2 * PING_EVERY_MS);
    expect(handlers.closed).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(PING_EVERY_MS);
    expect(handlers.closed).toHaveBeenCalledOnce();
    expect(socket.closed).toBe(true);
  });

  it("says that nobody is there", async () => {
    const socket = new FakeSocket();
    const opening = Signalling.open("ws://nobody", { message: vi.fn(), closed: vi.fn() }, 1_000, () => socket);
    socket.onclose?.({} as CloseEvent);
    await expect(opening).rejects.toMatchObject({ code: "network" });
  });
});
