import { Backoff } from "./backoff";
import { Emitter } from "./emitter";
import { MeshError } from "./errors";
import type { MemberJson } from "./generated/MemberJson";
import type { ServerMessage } from "./generated/ServerMessage";
import type { TrackKindJson } from "./generated/TrackKindJson";
import { signalUrlOf } from "./link";
import { Monitor } from "./monitor";
import { CAMERA_DEFAULT, SLOTS_DEFAULT, SLOTS_MAX, type JoinOptions, type SlotCounts } from "./options";
import { Peer } from "./peer";
import { Publisher, type ScreenHint } from "./publisher";
import { Roster } from "./roster";
import { openSession, type Session } from "./session";
import { refusal, type ServerMessageOf, type SignallingHandlers } from "./signalling";
import { SlotTable, type Slot } from "./slots";
import type { MeetingStats } from "./stats";
import type { Floor, Layout, MeetingEvents, MeetingParts, MeetingState } from "./types";
import { asMeshError, sleep } from "./util";

/** A path that was silent this long gets an ICE restart, ms; most short gaps heal before. */
const RESTART_AFTER_MS = 2_000;
/** An old peer is kept this long for a new one to connect, ms. */
const OLD_PEER_MS = 5_000;

/** The way into a meeting. */
export const Mesh = {
  /** Joins. Resolves when the edge has let us in; media follows, see the `state` event. Rejects with a {@link MeshError}. */
  join(options: JoinOptions, parts: MeetingParts = {}): Promise<Meeting> {
    return Meeting.join(options, parts);
  },
};

/** A meeting one is in. */
export class Meeting extends Emitter<MeetingEvents> {
  readonly #publisher: Publisher;
  readonly #roster = new Roster();
  readonly #slots: SlotTable;
  readonly #monitor: Monitor;
  readonly #backoff: Backoff;
  #counts: SlotCounts;
  #layout: Layout;
  #session: Session | undefined;
  #state: MeetingState = "connecting";
  #floor: Floor = { main: undefined, recent: [] };
  #negotiation: Promise<unknown> = Promise.resolve();
  #restart: ReturnType<typeof setTimeout> | undefined;
  /** Signalling addresses of other edges, for when this one is gone. */
  #others: readonly string[] = [];
  #layoutSent = false;
  /** The session whose successor is being looked for. */
  #leaving: Session | undefined;

  private constructor(
    private readonly options: JoinOptions,
    private readonly parts: MeetingParts,
  ) {
    super();
    const newStream = parts.newStream ?? (() => new MediaStream());
    this.#publisher = new Publisher(options.media ?? {}, parts.devices, newStream());
    this.#slots = new SlotTable(newStream);
    this.#backoff = parts.backoff ?? new Backoff();
    this.#counts = { ...SLOTS_DEFAULT, ...options.slots };
    this.#layout = { maxBitrateBps: options.maxBitrateBps };
    this.#publisher.onlost = (kind) => void this.#deviceLost(kind);
    const voice = (): RTCRtpSender | undefined =>
      this.#publisher.muted("mic") ? undefined : this.#session?.peer.sender("mic");
    this.#monitor = new Monitor(
      { slots: this.#slots, pc: () => this.pc, voice, self: () => this.participantId },
      {
        slots: () => this.emit("slots", this.slots),
        speaking: (ids) => this.emit("speaking", ids),
        stats: (stats, qualities) => {
          this.emit("stats", stats);
          this.emit("quality", qualities);
        },
      },
    );
  }

  /** See {@link Mesh.join}. */
  static async join(options: JoinOptions, parts: MeetingParts): Promise<Meeting> {
    const meeting = new Meeting(options, parts);
    try {
      await meeting.#enter(options.url, meeting.#publisher.open());
    } catch (cause) {
      meeting.#publisher.close();
      throw cause;
    }
    meeting.#monitor.start();
    return meeting;
  }

  /** How the connection is. */
  get state(): MeetingState {
    return this.#state;
  }

  /** Id of the meeting. */
  get meetingId(): string {
    return this.#session?.joined.meeting ?? "";
  }

  /** Own short id; another one after a reconnect. */
  get participantId(): number | undefined {
    return this.#session?.joined.participant;
  }

  /** Region of the edge. */
  get region(): string {
    return this.#session?.joined.region ?? "";
  }

  /** Name of the edge. */
  get node(): string {
    return this.#session?.joined.node ?? "";
  }

  /** Everybody, oneself included. */
  get members(): readonly MemberJson[] {
    return this.#roster.members;
  }

  /** One participant. */
  member(id: number): MemberJson | undefined {
    return this.#roster.get(id);
  }

  /** Who has the floor. */
  get floor(): Floor {
    return this.#floor;
  }

  /** The receive slots. */
  get slots(): readonly Slot[] {
    return this.#slots.slots;
  }

  /** Ids of those who speak just now. */
  get speaking(): readonly number[] {
    return this.#monitor.speaking;
  }

  /** The own microphone and camera, for the self view. */
  get localStream(): MediaStream {
    return this.#publisher.localStream;
  }

  /** The peer connection, for tests and diagnostics; it is replaced by a reconnect. */
  get pc(): RTCPeerConnection | undefined {
    return this.#session?.peer.pc;
  }

  /** Whether an own source sends nothing. */
  isMuted(kind: TrackKindJson): boolean {
    return this.#publisher.muted(kind);
  }

  /** Mutes the microphone or turns the camera off, or back. Rejects with a {@link MeshError} if a device cannot be opened. */
  async setMuted(kind: "mic" | "camera", muted: boolean): Promise<void> {
    await this.#publisher.setMuted(kind, muted, (what, track) => this.#publish(what, track));
    this.#tellMuted(kind);
  }

  /**
   * Takes another microphone or camera: its id, or constraints. What is muted stays muted and opens it later. Rejects with a
   * {@link MeshError} if it cannot be opened; the source is muted then.
   */
  async setDevice(kind: "mic" | "camera", device: string | MediaTrackConstraints): Promise<void> {
    const exact = typeof device === "string" ? { deviceId: { exact: device } } : device;
    const constraints = kind === "camera" ? { ...CAMERA_DEFAULT, ...exact } : exact;
    try {
      await this.#publisher.setDevice(kind, constraints, (what, track) => this.#publish(what, track));
    } catch (cause) {
      this.#tellMuted(kind);
      throw cause;
    }
  }

  /** Asks for another layout; it replaces the one before. */
  setLayout(layout: Layout): void {
    this.#layout = { maxBitrateBps: this.options.maxBitrateBps, ...layout };
    this.#sendLayout();
  }

  /** Asks the person for a screen or window and shares it; it is best at sharp text, or at smooth movement. */
  async startScreenShare(hint: ScreenHint = "detail"): Promise<void> {
    const track = await this.#publisher.openScreen(hint, () => void this.stopScreenShare());
    try {
      if (this.#session?.peer.prepareScreen()) await this.#renegotiate();
      await this.#publish("screen", track);
    } catch (cause) {
      this.#publisher.closeScreen();
      throw cause;
    }
    this.#tellMuted("screen");
  }

  /** What the shared screen is to be best at, from now on. */
  setScreenHint(hint: ScreenHint): void {
    this.#publisher.hintScreen(hint);
  }

  /** Stops sharing the screen. The line stays for the next time. */
  async stopScreenShare(): Promise<void> {
    this.#publisher.closeScreen();
    await this.#publish("screen", null);
    this.#tellMuted("screen");
  }

  /** Offers more receive slots with one renegotiation, for a larger gallery. Slots are never taken back. */
  async growSlots(wanted: Partial<SlotCounts>): Promise<void> {
    const peer = this.#session?.peer;
    const { audio, video, screen } = { ...this.#counts, ...wanted };
    if (audio + video + screen > SLOTS_MAX) throw new MeshError("sdp", `At most ${SLOTS_MAX} slots can be asked for.`);
    const moreAudio = Math.max(0, audio - this.#counts.audio);
    const moreVideo = Math.max(0, video - this.#counts.video) + Math.max(0, screen - this.#counts.screen);
    if (!peer || moreAudio + moreVideo === 0) return;
    peer.addSlots("audio", moreAudio);
    peer.addSlots("video", moreVideo);
    this.#counts = { audio, video, screen };
    await this.#renegotiate();
  }

  /** Rates, losses and delays since the last call. The event `stats` tells those of each second. */
  stats(): Promise<MeetingStats> {
    return this.#monitor.stats();
  }

  /** Goodbye. */
  leave(): void {
    this.#session?.signalling.send({ type: "leave" });
    this.#end("You left the meeting.");
  }

  async #enter(url: string, ready?: Promise<void>): Promise<void> {
    const handlers: SignallingHandlers = {
      message: (message) => this.#receive(message),
      closed: (error) => this.#lost(error),
    };
    const newPeer = this.parts.newPeer ?? ((options) => new Peer(options));
    const session = await openSession(
      url,
      this.options,
      {
        newPeer: () =>
          newPeer({
            slots: this.#counts,
            simulcast: this.options.simulcast !== false,
            localStream: this.#publisher.localStream,
          }),
        openSocket: this.parts.openSocket,
      },
      handlers,
      ready,
    );
    if (this.#state === "ended") {
      closeSession(session);
      return;
    }
    await this.#adopt(session);
    session.release();
  }

  /** Makes a session the current one. The old peer plays on until the new one is connected. */
  async #adopt(session: Session): Promise<void> {
    const old = this.#session;
    this.#session = session;
    const { peer, joined, signalling } = session;
    this.#slots.bind(joined.slots);
    this.#slots.clear();
    const attach = (): void => this.#slots.attach((mid) => peer.receiver(mid));
    if (!old) attach();
    const retire = (): void => {
      clearTimeout(late);
      attach();
      old?.peer.close();
    };
    const late = old ? setTimeout(retire, OLD_PEER_MS) : undefined;
    peer.pc.onconnectionstatechange = () => {
      if (peer.pc.connectionState === "connected") retire();
      this.#followPeer(session);
    };
    await this.#publisher.publishAll((kind, track) => peer.publish(kind, track));
    for (const kind of ["mic", "camera"] as const) {
      if (this.#publisher.muted(kind)) signalling.send({ type: "mute", kind, muted: true });
    }
    this.#sendLayout();
    this.emit("slots", this.slots);
    this.#followPeer(session);
    if (!this.#publisher.muted("screen")) await this.#resumeScreen();
  }

  #followPeer(session: Session): void {
    if (session !== this.#session || session === this.#leaving || this.#isOver()) return;
    const state = session.peer.pc.connectionState;
    clearTimeout(this.#restart);
    if (state === "connected") {
      this.#backoff.reset();
      this.#become("connected");
    } else if (state === "disconnected") {
      this.#become("reconnecting");
      this.#restart = setTimeout(() => void this.#restartIce(session), RESTART_AFTER_MS);
    } else if (state === "failed") {
      this.#lost(new MeshError("network", "The media connection was lost."));
    }
  }

  async #restartIce(session: Session): Promise<void> {
    if (session !== this.#session || this.#state === "ended") return;
    try {
      await this.#renegotiate({ restart: true });
    } catch (cause) {
      this.#lost(asMeshError(cause));
    }
  }

  /** The socket or the path is gone: joins again, here or at an edge that was named. */
  #lost(error: MeshError): void {
    const session = this.#session;
    if (!session || session === this.#leaving || this.#state === "ended") return;
    this.#leaving = session;
    session.signalling.close();
    this.emit("error", error);
    this.#become("reconnecting");
    void this.#rejoin(session, error);
  }

  async #rejoin(from: Session, first: MeshError): Promise<void> {
    let urls = [from.url, ...this.#others];
    let error = first;
    for (let i = 0; this.#session === from; i += 1) {
      const inMs = this.#backoff.next(error.retryAfterMs);
      this.emit("reconnecting", { attempt: i + 1, inMs, error });
      await sleep(inMs);
      if (this.#isOver()) return;
      try {
        await this.#enter(urls[i % urls.length] ?? from.url);
        return;
      } catch (cause) {
        error = asMeshError(cause);
        if (!error.retryable) {
          this.emit("error", error);
          this.#end(error.message);
          return;
        }
        if (error.edges.length > 0) urls = [from.url, ...error.edges.map(signalUrlOf)];
      }
    }
  }

  #receive(message: ServerMessage): void {
    switch (message.type) {
      case "roster":
        if (this.#roster.apply(message)) this.emit("roster", this.members);
        if (message.snapshot) this.#reached();
        break;
      case "floor":
        this.#floor = { main: message.main ?? undefined, recent: message.recent };
        this.emit("floor", this.#floor);
        break;
      case "slots":
        if (this.#slots.apply(message.slots)) this.emit("slots", this.slots);
        break;
      case "edges":
        this.#others = message.edges.map(signalUrlOf);
        break;
      case "error":
        this.#refused(message);
        break;
      case "ended":
        this.#end(message.reason);
        break;
      default:
        break;
    }
  }

  #refused(message: ServerMessageOf<"error">): void {
    const error = refusal(message);
    if (!message.fatal) {
      // The edge is there, the rest of the meeting is not: a snapshot of the roster ends this.
      if (error.code === "unavailable") this.#become("reconnecting");
      this.emit("error", error);
    }
    else if (error.retryable) this.#lost(error);
    else {
      this.emit("error", error);
      this.#end(error.message);
    }
  }

  /** The edge has the whole meeting again. */
  #reached(): void {
    const connected = this.pc?.connectionState === "connected" && this.#session !== this.#leaving;
    if (this.#state === "reconnecting" && connected) this.#become("connected");
  }

  async #publish(kind: TrackKindJson, track: MediaStreamTrack | null): Promise<void> {
    await this.#session?.peer.publish(kind, track);
  }

  /** Tells the edge and the page how an own source is. */
  #tellMuted(kind: TrackKindJson): void {
    const muted = this.#publisher.muted(kind);
    this.#session?.signalling.send({ type: "mute", kind, muted });
    this.emit("muted", { kind, muted });
  }

  /** A device was unplugged or taken away. */
  async #deviceLost(kind: "mic" | "camera"): Promise<void> {
    await this.#publish(kind, null).catch(() => {});
    this.#tellMuted(kind);
    const text = `The ${kind === "mic" ? "microphone" : "camera"} was disconnected.`;
    this.emit("error", new MeshError("device", text, undefined, [], "lost"));
  }

  async #resumeScreen(): Promise<void> {
    try {
      if (this.#session?.peer.prepareScreen()) await this.#renegotiate();
      await this.#publish("screen", this.#publisher.track("screen") ?? null);
    } catch (cause) {
      this.emit("error", asMeshError(cause));
    }
  }

  /** One offer after the other; a refused one is taken back. */
  #renegotiate(options: { restart?: boolean } = {}): Promise<void> {
    const run = this.#negotiation.then(async () => {
      const session = this.#session;
      if (!session || this.#isOver()) return;
      const { peer, signalling } = session;
      try {
        const sdp = await peer.offer(options);
        const publish = peer.publishLines();
        const request = { type: "renegotiate", sdp, publish } as const;
        const answer = await signalling.request(request, "renegotiated", this.options.timeoutMs ?? 10_000);
        await peer.accept(answer.sdp);
        this.#slots.bind(answer.slots);
        this.#slots.attach((mid) => peer.receiver(mid));
        this.emit("slots", this.slots);
      } catch (cause) {
        await peer.rollback().catch(() => {});
        throw asMeshError(cause);
      }
    });
    this.#negotiation = run.catch(() => {});
    return run;
  }

  #sendLayout(): void {
    const { pin, strip, maxBitrateBps } = this.#layout;
    if (pin === undefined && strip === undefined && maxBitrateBps === undefined && !this.#layoutSent) return;
    this.#layoutSent = true;
    this.#session?.signalling.send({
      type: "layout",
      ...(pin === undefined ? {} : { pin }),
      ...(strip === undefined ? {} : { strip }),
      ...(maxBitrateBps === undefined ? {} : { maxBitrateBps }),
    });
  }

  /** Asks anew after an await, where the compiler would remember an older answer. */
  #isOver(): boolean {
    return this.#state === "ended";
  }

  #become(state: MeetingState): void {
    if (this.#state === state || this.#state === "ended") return;
    this.#state = state;
    this.emit("state", state);
  }

  #end(reason: string): void {
    if (this.#state === "ended") return;
    this.#monitor.stop();
    clearTimeout(this.#restart);
    if (this.#session) closeSession(this.#session);
    this.#slots.attach(() => undefined);
    this.#publisher.close();
    this.#become("ended");
    this.emit("ended", { reason });
  }
}

function closeSession(session: Session): void {
  session.signalling.close();
  session.peer.close();
}
