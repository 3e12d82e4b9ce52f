import { vi } from "vitest";
import { Backoff } from "../src/backoff";
import { Mesh, type Meeting } from "../src/meeting";
import type { JoinOptions } from "../src/options";
import { FakeDevices, FakePeer, FakeSocket, FakeStream, member } from "./fakes";

const EVENTS = [
  "state", "error", "ended", "roster", "slots", "reconnecting", "muted", "chat", "hand", "role", "settings", "knocking",
] as const;

/** The slots that an edge answers with. */
export const SLOTS = [
  { mid: "2", role: "audio" },
  { mid: "3", role: "main" },
];

/** A network of edges that let everybody in at once, unless `refuse` says otherwise. */
export class World {
  sockets: { url: string; socket: FakeSocket }[] = [];
  peers: FakePeer[] = [];
  devices = new FakeDevices();
  refuse: object | undefined;
  up = true;
  /** What else the answer to a join says, such as a role. */
  joined: object = {};
  /** What is told before the answer; with `waiting` the answer comes by `answer`. */
  waits = false;
  /** Whether pings are answered. */
  pongs = true;
  events: [string, unknown][] = [];

  /** A join that may not be over. */
  joining(options: Partial<JoinOptions> = {}): Promise<Meeting> {
    return Mesh.join({ url: "ws://a/v1/signal", token: "t", name: "Ada", ...options }, {
      newPeer: ({ publish }) => {
        const peer = new FakePeer();
        peer.sources = publish;
        this.peers.push(peer);
        return peer.asPeer();
      },
      openSocket: (url) => this.#open(url),
      devices: this.devices,
      newStream: () => new FakeStream() as unknown as MediaStream,
      backoff: new Backoff(100, 1_000, () => 1),
    });
  }

  async join(options: Partial<JoinOptions> = {}): Promise<Meeting> {
    const joining = this.joining(options);
    const settled = joining.catch(() => {});
    await vi.advanceTimersByTimeAsync(5);
    await settled;
    const meeting = await joining;
    for (const event of EVENTS) {
      meeting.on(event, (payload) => void this.events.push([event, payload]));
    }
    return meeting;
  }

  #open(url: string): FakeSocket {
    const socket = new FakeSocket();
    this.sockets.push({ url, socket });
    const send = socket.send.bind(socket);
    socket.send = (data) => {
      send(data);
      const { type, id } = JSON.parse(data) as { type: string; id?: number };
      if (type === "ping" && this.pongs) socket.tell({ type: "pong", id });
      if (type === "join" && this.waits) socket.tell({ type: "waiting" });
      else if (type === "join") this.answer(socket);
    };
    setTimeout(() => (this.up ? socket.onopen?.(new Event("open")) : socket.onclose?.({} as CloseEvent)), 1);
    return socket;
  }

  /** Lets somebody in, or not. */
  answer(socket: FakeSocket = this.socket): void {
    if (this.refuse) {
      socket.tell(this.refuse);
      return;
    }
    const participant = this.sockets.length;
    socket.tell({ type: "joined", version: 1, meeting: "m", participant, region: "eu", node: "e1", role: "panelist", owner: false, sdp: "answer", slots: SLOTS, ...this.joined });
    socket.tell({ type: "roster", seq: 1, snapshot: true, put: [member(participant)], removed: [] });
    socket.tell({ type: "slots", slots: [{ mid: "3", participant: 7, rid: "f" }] });
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!.socket;
  }

  get peer(): FakePeer {
    return this.peers.at(-1)!;
  }

  states(): unknown[] {
    return this.told("state");
  }

  /** What an event carried, each time. */
  told(name: string): unknown[] {
    return this.events.filter(([event]) => event === name).map(([, payload]) => payload);
  }

  /** The socket breaks; there is another session soon. */
  async breaks(): Promise<void> {
    this.socket.onclose?.({} as CloseEvent);
    await vi.advanceTimersByTimeAsync(1_100);
    this.peer.become("connected");
  }
}
