import type { MemberJson } from "../src/generated/MemberJson";
import type { Peer } from "../src/peer";
import type { Socket } from "../src/signalling";

/** A roster entry. */
export function member(id: number, more: Partial<MemberJson> = {}): MemberJson {
  return { id, name: `P${id}`, edge: 1, micMuted: false, cameraOff: false, role: "panelist", ...more };
}

/** A MediaStream that only holds tracks. */
export class FakeStream {
  readonly #tracks: MediaStreamTrack[] = [];
  addTrack(track: MediaStreamTrack): void {
    if (!this.#tracks.includes(track)) this.#tracks.push(track);
  }
  removeTrack(track: MediaStreamTrack): void {
    const at = this.#tracks.indexOf(track);
    if (at >= 0) this.#tracks.splice(at, 1);
  }
  getTracks(): MediaStreamTrack[] {
    return [...this.#tracks];
  }
  getAudioTracks(): MediaStreamTrack[] {
    return this.#tracks.filter(({ kind }) => kind === "audio");
  }
  getVideoTracks(): MediaStreamTrack[] {
    return this.#tracks.filter(({ kind }) => kind === "video");
  }
}

/** A track of a device. */
export class FakeTrack {
  enabled = true;
  readyState = "live";
  contentHint = "";
  onended: (() => void) | null = null;
  constructor(readonly kind: "audio" | "video") {}
  stop(): void {
    this.readyState = "ended";
  }
  getSettings(): MediaTrackSettings {
    return {};
  }
  applyConstraints(): Promise<void> {
    return Promise.resolve();
  }
}

/** Devices that give what is asked for. */
export class FakeDevices {
  asked: MediaStreamConstraints[] = [];
  fail: Error | undefined;
  getUserMedia(constraints: MediaStreamConstraints): Promise<MediaStream> {
    this.asked.push(constraints);
    if (this.fail) return Promise.reject(this.fail);
    const stream = new FakeStream();
    if (constraints.audio) stream.addTrack(new FakeTrack("audio") as unknown as MediaStreamTrack);
    if (constraints.video) stream.addTrack(new FakeTrack("video") as unknown as MediaStreamTrack);
    return Promise.resolve(stream as unknown as MediaStream);
  }
  getDisplayMedia(): Promise<MediaStream> {
    return this.getUserMedia({ video: true });
  }
}

/** A socket whose other end is the test. */
export class FakeSocket implements Socket {
  sent: string[] = [];
  closed = false;
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  send(data: string): void {
    this.sent.push(data);
  }
  close(): void {
    this.closed = true;
  }
  tell(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) } as MessageEvent);
  }
  /** Messages of a type that were sent. */
  of(type: string): Record<string, unknown>[] {
    return this.sent.map((data) => JSON.parse(data) as Record<string, unknown>).filter((message) => message["type"] === type);
  }
}

/** A peer without WebRTC: remembers what is published. */
export class FakePeer {
  readonly pc = {
    connectionState: "new",
    onconnectionstatechange: null as (() => void) | null,
    getStats: () => Promise.resolve(new Map()),
  };
  readonly published = new Map<string, unknown>();
  answers: string[] = [];
  offers: object[] = [];
  closed = false;
  rolledBack = 0;
  screen = false;
  offer(options: object = {}): Promise<string> {
    this.offers.push(options);
    return Promise.resolve("offer");
  }
  accept(sdp: string): Promise<void> {
    this.answers.push(sdp);
    return Promise.resolve();
  }
  publish(kind: string, track: unknown): Promise<void> {
    this.published.set(kind, track);
    return Promise.resolve();
  }
  publishLines() {
    const lines = this.sources ? [{ mid: "0", kind: "mic" }, { mid: "1", kind: "camera" }] : [];
    return this.screen ? [...lines, { mid: "9", kind: "screen" }] : lines;
  }
  sources = true;
  prepareSources(): boolean {
    const news = !this.sources;
    this.sources = true;
    return news;
  }
  prepareScreen(): boolean {
    const news = !this.screen;
    this.screen = true;
    return news;
  }
  slotsAdded: [string, number][] = [];
  addSlots(kind: string, count: number): void {
    this.slotsAdded.push([kind, count]);
  }
  sender(): undefined {
    return undefined;
  }
  receiver(): undefined {
    return undefined;
  }
  rollback(): Promise<void> {
    this.rolledBack += 1;
    return Promise.resolve();
  }
  close(): void {
    this.closed = true;
  }
  /** The connection gets into a state. */
  become(state: string): void {
    this.pc.connectionState = state;
    this.pc.onconnectionstatechange?.();
  }
  asPeer(): Peer {
    return this as unknown as Peer;
  }
}
