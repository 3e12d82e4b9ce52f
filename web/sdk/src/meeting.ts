import { Backoff } from "./backoff";
import { Chat } from "./chat";
import { Connection, type ConnectionOwner } from "./connection";
import { Emitter } from "./emitter";
import { MeshError } from "./errors";
import type { ClientMessage } from "./generated/ClientMessage";
import type { MemberJson } from "./generated/MemberJson";
import type { MemberRoleJson } from "./generated/MemberRoleJson";
import type { ServerMessage } from "./generated/ServerMessage";
import type { TrackKindJson } from "./generated/TrackKindJson";
import { grantsOf } from "./grants";
import { HostActions, HostRequests } from "./host";
import { Monitor } from "./monitor";
import { CAMERA_DEFAULT, SLOTS_DEFAULT, SLOTS_MAX, type JoinOptions, type SlotCounts } from "./options";
import { RosterPages, type PageQuery } from "./pages";
import { Peer } from "./peer";
import { Publisher, type Publish, type ScreenHint } from "./publisher";
import { Roster } from "./roster";
import type { Session } from "./session";
import type { ServerMessageOf } from "./signalling";
import { SlotTable, type Slot } from "./slots";
import { Standing } from "./standing";
import type { MeetingStats } from "./stats";
import type {
  ChatMessage,
  Floor,
  Knocking,
  Layout,
  MeetingEvents,
  MeetingParts,
  MeetingSettings,
  MeetingState,
  RosterPage,
} from "./types";
import { asMeshError } from "./util";

/** The way into a meeting. */
export const Mesh = {
  /** Joins. Resolves when the edge has let us in; media follows, see the `state` event. Rejects with a {@link MeshError}. */
  join(options: JoinOptions, parts: MeetingParts = {}): Promise<Meeting> {
    return Meeting.join(options, parts);
  },
};

/** A meeting one is in. */
export class Meeting extends Emitter<MeetingEvents> {
  /** What a host may do. */
  readonly host: HostActions;
  readonly #hosting: HostRequests;
  readonly #connection: Connection;
  readonly #publisher: Publisher;
  readonly #roster = new Roster();
  readonly #pages: RosterPages;
  readonly #chat: Chat;
  readonly #standing: Standing;
  readonly #slots: SlotTable;
  readonly #monitor: Monitor;
  #counts: SlotCounts;
  #layout: Layout;
  #floor: Floor = { main: undefined, recent: [] };
  #layoutSent = false;

  private constructor(
    private readonly options: JoinOptions,
    parts: MeetingParts,
  ) {
    super();
    const newStream = parts.newStream ?? (() => new MediaStream());
    const send = (message: ClientMessage): boolean => this.#connection.send(message);
    this.#publisher = new Publisher(options.media ?? {}, parts.devices, newStream());
    this.#slots = new SlotTable(newStream);
    this.#counts = { ...SLOTS_DEFAULT, ...options.slots };
    this.#layout = { maxBitrateBps: options.maxBitrateBps };
    this.#connection = new Connection(options, this.#owner(parts));
    this.#hosting = new HostRequests(send);
    this.host = new HostActions((action) => this.#hosting.ask(action));
    this.#pages = new RosterPages(send);
    this.#standing = new Standing(options.publish ?? grantsOf(options.token).publish, send, {
      role: (role) => this.emit("role", role),
      hand: (raised) => this.emit("hand", raised),
      settings: (settings) => this.emit("settings", settings),
      knocking: (knocking) => this.emit("knocking", knocking),
    });
    const name = (): string => this.member(this.participantId ?? 0)?.name ?? options.name ?? "";
    const writer = { self: () => this.participantId, isSelf: (id: number) => this.#standing.isSelf(id), name };
    this.#chat = new Chat(writer, send, () => this.emit("chat", this.chat));
    this.#publisher.onlost = (kind) => void this.#deviceLost(kind);
    const voice = (): RTCRtpSender | undefined => (this.#publisher.muted("mic") ? undefined : this.#peer?.sender("mic"));
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
    const devices = meeting.#standing.mayPublish ? meeting.#publisher.open() : Promise.resolve();
    try {
      await meeting.#connection.join(devices);
    } catch (cause) {
      meeting.#publisher.close();
      throw cause;
    }
    meeting.#monitor.start();
    return meeting;
  }

  /** How the connection is. */
  get state(): MeetingState {
    return this.#connection.state;
  }

  /** Id of the meeting. */
  get meetingId(): string {
    return this.#session?.joined.meeting ?? "";
  }

  /** Own short id; another one after a reconnect. */
  get participantId(): number | undefined {
    return this.#session?.joined.participant;
  }

  /** Own role. */
  get role(): MemberRoleJson {
    return this.#standing.role;
  }

  /** Whether the own token grants hosting: the role may be taken back at any time. */
  get owner(): boolean {
    return this.#session?.joined.owner ?? false;
  }

  /** How the meeting is set. */
  get settings(): MeetingSettings {
    return this.#standing.settings;
  }

  /** Who waits to be let in, for hosts. */
  get knocking(): Knocking {
    return this.#standing.knocking;
  }

  /** Region of the edge. */
  get region(): string {
    return this.#session?.joined.region ?? "";
  }

  /** Name of the edge. */
  get node(): string {
    return this.#session?.joined.node ?? "";
  }

  /** Everybody, oneself included; where there are many attendees, only the others: see {@link Meeting.attendees}. */
  get members(): readonly MemberJson[] {
    return this.#roster.members;
  }

  /** How many attendees there are that are not among the members; none: all are. */
  get attendees(): number | undefined {
    return this.#roster.attendees;
  }

  /** One participant. */
  member(id: number): MemberJson | undefined {
    return this.#roster.get(id);
  }

  /** Part of the whole roster, by id: for attendees that are not among the members. */
  rosterPage(query: PageQuery = {}): Promise<RosterPage> {
    return this.#pages.ask(query);
  }

  /** What was written, oldest first; what is on its way stands at the end. */
  get chat(): readonly ChatMessage[] {
    return this.#chat.messages;
  }

  /**
   * Writes to everybody, or to one participant. Resolves when the meeting has it, also across a reconnect; rejects with a
   * {@link MeshError} that says why not.
   */
  sendChat(text: string, { to }: { readonly to?: number | undefined } = {}): Promise<ChatMessage> {
    return this.#chat.write(text, to);
  }

  /** Whether the own hand is up. */
  get handRaised(): boolean {
    return this.#standing.hand;
  }

  /** Raises or lowers the own hand. It stays up across a reconnect. */
  setHand(raised: boolean): void {
    this.#standing.raise(raised);
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
    return this.#peer?.pc;
  }

  /** Whether an own source sends nothing. */
  isMuted(kind: TrackKindJson): boolean {
    return this.#publisher.muted(kind);
  }

  /** Mutes the microphone or turns the camera off, or back. Rejects with a {@link MeshError} if a device cannot be opened. */
  async setMuted(kind: "mic" | "camera", muted: boolean): Promise<void> {
    if (!muted) this.#mayPublish();
    await this.#publisher.setMuted(kind, muted, this.#publish);
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
      await this.#publisher.setDevice(kind, constraints, this.#publish);
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
    this.#mayPublish();
    const track = await this.#publisher.openScreen(hint, () => void this.stopScreenShare());
    try {
      if (this.#peer?.prepareScreen()) await this.#connection.renegotiate();
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
    const peer = this.#peer;
    const { audio, video, screen } = { ...this.#counts, ...wanted };
    if (audio + video + screen > SLOTS_MAX) throw new MeshError("sdp", `At most ${SLOTS_MAX} slots can be asked for.`);
    const moreAudio = Math.max(0, audio - this.#counts.audio);
    const moreVideo = Math.max(0, video - this.#counts.video) + Math.max(0, screen - this.#counts.screen);
    if (!peer || moreAudio + moreVideo === 0) return;
    peer.addSlots("audio", moreAudio);
    peer.addSlots("video", moreVideo);
    this.#counts = { audio, video, screen };
    await this.#connection.renegotiate();
  }

  /** Rates, losses and delays since the last call. The event `stats` tells those of each second. */
  stats(): Promise<MeetingStats> {
    return this.#monitor.stats();
  }

  /** Goodbye. */
  leave(): void {
    this.#connection.send({ type: "leave" });
    this.#connection.end("You left the meeting.");
  }

  get #session(): Session | undefined {
    return this.#connection.session;
  }

  get #peer(): Peer | undefined {
    return this.#session?.peer;
  }

  #owner(parts: MeetingParts): ConnectionOwner {
    const newPeer = parts.newPeer ?? ((options) => new Peer(options));
    return {
      newPeer: () =>
        newPeer({
          slots: this.#counts,
          simulcast: this.options.simulcast !== false,
          publish: this.#standing.mayPublish,
          localStream: this.#publisher.localStream,
        }),
      openSocket: parts.openSocket,
      backoff: parts.backoff ?? new Backoff(),
      adopt: (session) => this.#adopt(session),
      attach: (peer) => this.#slots.attach((mid) => peer.receiver(mid)),
      negotiated: (answer, peer) => this.#negotiated(answer, peer),
      message: (message) => this.#receive(message),
      refused: (error) => [this.#pages.refused(error), this.#chat.refused(error)].includes(true),
      unanswered: (error) => {
        this.#hosting.abandon(error);
        this.#pages.abandon(error);
      },
      state: (state) => this.emit("state", state),
      reconnecting: (next) => this.emit("reconnecting", next),
      error: (error) => this.emit("error", error),
      ended: (reason) => this.#ended(reason),
    };
  }

  /** Says everything to a new session that the last one knew. */
  async #adopt({ peer, joined }: Session): Promise<void> {
    this.#slots.bind(joined.slots);
    this.#slots.clear();
    this.#standing.joined(joined);
    await this.#follow(peer);
    await this.#publisher.publishAll((kind, track) => peer.publish(kind, track));
    for (const kind of ["mic", "camera"] as const) {
      if (this.#publisher.muted(kind)) this.#tellEdge(kind);
    }
    this.#sendLayout();
    this.#chat.resume();
    this.emit("slots", this.slots);
    void this.#resumeSources(peer);
  }

  /** Lets go of what the own role does not allow. */
  async #follow(peer: Peer | undefined): Promise<void> {
    if (this.#standing.mayPublish) return;
    const publish: Publish = async (kind, track) => peer?.publish(kind, track);
    for (const kind of await this.#publisher.stopAll(publish)) this.emit("muted", { kind, muted: true });
  }

  /** Lines that are not in the offer of a join: those of a shared screen, and all of somebody who was an attendee. */
  async #resumeSources(peer: Peer): Promise<void> {
    if (!this.#standing.mayPublish) return;
    const sharing = !this.#publisher.muted("screen");
    try {
      const news = [peer.prepareSources(), sharing && peer.prepareScreen()].includes(true);
      if (news) await this.#connection.renegotiate();
      if (sharing) await this.#publish("screen", this.#publisher.track("screen") ?? null);
    } catch (cause) {
      this.emit("error", asMeshError(cause));
    }
  }

  #negotiated({ slots }: ServerMessageOf<"renegotiated">, peer: Peer): void {
    this.#slots.bind(slots);
    this.#slots.attach((mid) => peer.receiver(mid));
    this.emit("slots", this.slots);
  }

  #receive(message: ServerMessage): void {
    switch (message.type) {
      case "roster":
        if (this.#roster.apply(message)) {
          this.#standing.seen(this.member(this.participantId ?? 0), this.attendees !== undefined);
          this.emit("roster", this.members);
        }
        if (message.snapshot) this.#connection.reached();
        break;
      case "rosterPage":
        this.#pages.answered(message);
        break;
      case "floor":
        this.#floor = { main: message.main ?? undefined, recent: message.recent };
        this.emit("floor", this.#floor);
        break;
      case "slots":
        if (this.#slots.apply(message.slots)) this.emit("slots", this.slots);
        break;
      case "chat":
        this.#chat.receive(message.messages);
        break;
      case "done":
        this.#hosting.settle(message);
        break;
      case "muted":
        void this.#mutedBy(message);
        break;
      case "role":
        void this.#become(message.role);
        break;
      case "settings":
      case "knocking":
        this.#standing.told(message);
        break;
      default:
        break;
    }
  }

  /** A host has silenced a source. It is silent here too, not only for the others. */
  async #mutedBy({ kind, by }: ServerMessageOf<"muted">): Promise<void> {
    if (this.#publisher.muted(kind)) return;
    if (kind === "screen") {
      this.#publisher.closeScreen();
      await this.#publish(kind, null);
    } else await this.#publisher.setMuted(kind, true, this.#publish);
    this.#tellEdge(kind);
    this.emit("muted", { kind, muted: true, by });
  }

  /** A promotion is one renegotiation that adds the sources, which are muted still; a demotion stops them. */
  async #become(role: MemberRoleJson): Promise<void> {
    const peer = this.#peer;
    const published = this.#standing.mayPublish;
    if (!this.#standing.become(role) || !peer) return;
    await this.#follow(peer);
    if (published || !this.#standing.mayPublish) return;
    try {
      peer.prepareSources();
      await this.#connection.renegotiate();
      for (const kind of ["mic", "camera"] as const) this.#tellEdge(kind);
    } catch (cause) {
      this.emit("error", asMeshError(cause));
    }
  }

  readonly #publish: Publish = async (kind, track) => {
    await this.#peer?.publish(kind, track);
  };

  #mayPublish(): void {
    if (this.#standing.mayPublish) return;
    throw new MeshError("forbidden", "Attendees are not heard and not seen. Raise your hand, so that a host can let you speak.");
  }

  /** Tells the edge and the page how an own source is. */
  #tellMuted(kind: TrackKindJson): void {
    this.#tellEdge(kind);
    this.emit("muted", { kind, muted: this.#publisher.muted(kind) });
  }

  #tellEdge(kind: TrackKindJson): void {
    if (!this.#standing.mayPublish) return;
    this.#connection.send({ type: "mute", kind, muted: this.#publisher.muted(kind) });
  }

  /** A device was unplugged or taken away. */
  async #deviceLost(kind: "mic" | "camera"): Promise<void> {
    await this.#publish(kind, null).catch(() => {});
    this.#tellMuted(kind);
    const text = `The ${kind === "mic" ? "microphone" : "camera"} was disconnected.`;
    this.emit("error", new MeshError("device", text, undefined, [], "lost"));
  }

  #sendLayout(): void {
    const asked = Object.entries(this.#layout).filter(([, value]) => value !== undefined);
    if (asked.length === 0 && !this.#layoutSent) return;
    this.#layoutSent = true;
    this.#connection.send({ type: "layout", ...Object.fromEntries(asked) });
  }

  #ended(reason: string): void {
    this.#monitor.stop();
    this.#chat.close(new MeshError("ended", reason));
    this.#slots.attach(() => undefined);
    this.#publisher.close();
    this.emit("ended", { reason });
  }
}
