import {
  grantsOf,
  Mesh,
  MeshError,
  parseMeetingLink,
  type Floor,
  type MediaOptions,
  type Meeting,
  type MeetingState,
  type MeetingStats,
  type Member,
  type MemberRole,
  type Qualities,
  type ScreenHint,
  type Slot,
} from "@mesh/sdk";
import { ChatState } from "./chat.svelte";
import { Hosting } from "./hosting.svelte";
import { locale } from "./i18n/locale.svelte";
import { Notices } from "./notices.svelte";
import { prefs } from "./prefs.svelte";
import { changes } from "./room/view";
import { announcer } from "./ui/announcer.svelte";

declare global {
  interface Window {
    /** For tests and diagnostics. */
    mesh: { meeting: Meeting | undefined };
  }
}

/** Slots of a gallery of 25: all but the own picture. */
const GALLERY_SLOTS = 24;

/** What the page knows: the link, and the meeting once it is joined. */
export class Store {
  readonly link = parseMeetingLink(location.href);
  /** What the invitation grants. */
  readonly grants = grantsOf(this.link.token ?? "");
  readonly chat = new ChatState(() => this.panel === "chat");
  readonly hosting = new Hosting((error) => this.#fail(error));
  readonly notices = new Notices();
  phase = $state<"form" | "joining" | "waiting" | "meeting" | "ended">("form");
  /** What stands beside the pictures. */
  panel = $state<"people" | "chat" | undefined>();
  error = $state<MeshError | undefined>();
  /** The source that `error` is about, where it is about one. */
  #culprit: "mic" | "camera" | undefined;
  endReason = $state("");
  state = $state<MeetingState>("connecting");
  /** Which try of a reconnect this is. */
  attempt = $state(0);
  members = $state.raw<readonly Member[]>([]);
  /** Attendees that are not among the members. */
  attendees = $state<number | undefined>();
  hand = $state(false);
  slots = $state.raw<readonly Slot[]>([]);
  floor = $state.raw<Floor>({ main: undefined, recent: [] });
  speaking = $state.raw<readonly number[]>([]);
  quality = $state.raw<Qualities>({ own: undefined, of: new Map() });
  stats = $state.raw<MeetingStats | undefined>();
  self = $state<number | undefined>();
  micMuted = $state(true);
  cameraOff = $state(true);
  sharing = $state(false);
  hint = $state<ScreenHint>("detail");
  pinned = $state<number | undefined>();
  gallery = $state(prefs.gallery);
  meeting = $state.raw<Meeting | undefined>();
  #strip: number | undefined;
  #name = "";
  #leaving: AbortController | undefined;

  constructor() {
    window.mesh = { meeting: undefined };
  }

  /** The own name, as it was given. */
  get name(): string {
    return this.#name;
  }

  /** How many people there are in all. */
  get count(): number {
    if (this.attendees === undefined) return this.members.length;
    // An attendee with a raised hand is listed, and counted with the others.
    return this.members.filter(({ role }) => role !== "attendee").length + this.attendees;
  }

  /** What a meeting is joined with when nothing was chosen before. */
  get mediaOfLink(): MediaOptions {
    const { audio, video } = this.link;
    return { audio: audio && this.processing, video };
  }

  /** What is asked of a microphone besides its name. */
  get processing(): MediaTrackConstraints | true {
    return this.link.processing || { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  }

  /** Joins; what goes wrong is in `error`. */
  async join(name: string, media: MediaOptions = this.mediaOfLink): Promise<void> {
    const { token, signalUrl, simulcast, maxBitrateBps } = this.link;
    if (!token || this.phase === "joining" || this.phase === "waiting") return;
    this.phase = "joining";
    this.error = undefined;
    this.#culprit = undefined;
    this.#name = name;
    this.#leaving = new AbortController();
    const onWaiting = (): void => void (this.phase = "waiting");
    const { signal } = this.#leaving;
    try {
      this.#follow(await Mesh.join({ url: signalUrl, token, name, media, simulcast, maxBitrateBps, onWaiting, signal }));
    } catch (cause) {
      // Whoever gave up knows.
      this.error = signal.aborted ? undefined : asMeshError(cause, "network");
      this.phase = "form";
    }
  }

  /** Does not wait any longer to be let in. */
  giveUp(): void {
    this.#leaving?.abort();
  }

  /** Joins once more as one was. */
  async rejoin(): Promise<void> {
    const source = (kind: "mic" | "camera"): MediaTrackConstraints | false => {
      const { on, deviceId } = prefs.source(kind);
      const base = kind === "mic" && this.processing !== true ? this.processing : {};
      return on && { ...base, ...(deviceId === undefined ? {} : { deviceId: { ideal: deviceId } }) };
    };
    const { audio, video } = this.link;
    await this.join(this.#name, { audio: audio && source("mic"), video: video && source("camera") });
  }

  /** Mutes or unmutes. */
  async toggle(kind: "mic" | "camera"): Promise<void> {
    await this.#attempt(async (meeting) => meeting.setMuted(kind, !meeting.isMuted(kind)), kind);
  }

  /** Takes another device. */
  async useDevice(kind: "mic" | "camera", deviceId: string): Promise<void> {
    const more = kind === "mic" && this.processing !== true ? this.processing : {};
    prefs.keepSource(kind, prefs.source(kind).on, deviceId);
    await this.#attempt((meeting) => meeting.setDevice(kind, { ...more, deviceId: { exact: deviceId } }), kind);
  }

  /** Starts or stops sharing the screen. */
  async toggleScreen(): Promise<void> {
    await this.#attempt((meeting) => (this.sharing ? meeting.stopScreenShare() : meeting.startScreenShare(this.hint)));
    // Whoever closes the browser's question knows that nothing is shared.
    if (this.error?.code === "permission") this.error = undefined;
  }

  /** What the shared screen is best at. */
  chooseHint(hint: ScreenHint): void {
    this.hint = hint;
    this.meeting?.setScreenHint(hint);
  }

  /** Raises or lowers the own hand. */
  toggleHand(): void {
    this.meeting?.setHand(!this.hand);
  }

  /** Opens a panel, or closes it. */
  togglePanel(panel: "people" | "chat"): void {
    this.panel = this.panel === panel ? undefined : panel;
    if (this.panel === "chat") this.chat.read();
  }

  /** Begins a message to one person. */
  writeTo(id: number, name: string): void {
    this.chat.to = { id, name };
    if (this.panel !== "chat") this.togglePanel("chat");
  }

  /** Keeps somebody in the main picture, or lets the speaker have it again. */
  togglePin(participant: number): void {
    this.pinned = this.pinned === participant ? undefined : participant;
    const name = this.members.find(({ id }) => id === this.pinned)?.name;
    announcer.say(name === undefined ? locale.t.said.unpinned : locale.t.said.pinned(name));
    this.#sendLayout();
  }

  /** Shows the gallery, or the speaker. */
  showGallery(gallery: boolean): void {
    this.gallery = gallery;
    prefs.gallery = gallery;
    announcer.say(gallery ? locale.t.said.gallery : locale.t.said.speaker);
  }

  /** How many strip pictures are visible; see `stripWish`. */
  wishStrip(strip: number | undefined): void {
    if (this.#strip === strip) return;
    this.#strip = strip;
    this.#sendLayout();
  }

  /** More slots, when a gallery has use for them: once, with one renegotiation. */
  async growForGallery(): Promise<void> {
    await this.#attempt((meeting) => meeting.growSlots({ video: GALLERY_SLOTS }));
  }

  /** Goodbye. */
  leave(): void {
    this.meeting?.leave();
  }

  /** Back to the form. */
  again(): void {
    this.phase = "form";
    this.error = undefined;
  }

  /** A failure as a sentence in the language of the page. */
  say(error: MeshError): string {
    if (error.problem && this.#culprit) return locale.t.problems[this.#culprit][error.problem];
    return locale.t.errors[error.code] ?? error.message;
  }

  #sendLayout(): void {
    this.meeting?.setLayout({ pin: this.pinned, strip: this.#strip });
  }

  async #attempt(action: (meeting: Meeting) => Promise<void>, culprit?: "mic" | "camera"): Promise<void> {
    if (!this.meeting) return;
    this.#culprit = culprit;
    try {
      this.error = undefined;
      await action(this.meeting);
    } catch (cause) {
      this.error = asMeshError(cause, "device");
    }
  }

  #follow(meeting: Meeting): void {
    window.mesh.meeting = meeting;
    this.meeting = meeting;
    this.phase = "meeting";
    this.state = meeting.state;
    this.members = meeting.members;
    this.slots = meeting.slots;
    this.floor = meeting.floor;
    this.self = meeting.participantId;
    this.attendees = meeting.attendees;
    this.hand = meeting.handRaised;
    this.panel = window.matchMedia("(min-width: 60rem)").matches ? "people" : undefined;
    this.notices.clear();
    this.chat.follow(meeting);
    this.micMuted = meeting.isMuted("mic");
    this.cameraOff = meeting.isMuted("camera");
    this.sharing = false;
    this.#strip = undefined;
    meeting.on("roster", (members) => {
      this.attendees = meeting.attendees;
      this.#roster(members);
    });
    // The page is told of a new role before it takes it: it says what was before.
    meeting.on("role", (role) => this.#role(role));
    this.hosting.follow(meeting, this.grants.chat);
    meeting.on("hand", (raised) => this.#hand(raised));
    meeting.on("slots", (slots) => (this.slots = slots));
    meeting.on("floor", (floor) => (this.floor = floor));
    meeting.on("speaking", (speaking) => (this.speaking = speaking));
    meeting.on("quality", (quality) => (this.quality = quality));
    meeting.on("stats", (stats) => (this.stats = stats));
    meeting.on("muted", ({ kind, muted, by }) => this.#muted(kind, muted, by));
    meeting.on("reconnecting", ({ attempt }) => (this.attempt = attempt));
    meeting.on("state", (state) => this.#state(meeting, state));
    meeting.on("error", (error) => this.#fail(error));
    meeting.on("ended", ({ reason }) => {
      this.endReason = reason;
      this.phase = "ended";
      this.meeting = undefined;
      this.pinned = undefined;
      this.speaking = [];
      this.stats = undefined;
      this.notices.clear();
    });
  }

  #fail(error: MeshError): void {
    this.#culprit = undefined;
    this.error = error;
  }

  #hand(raised: boolean): void {
    this.hand = raised;
    announcer.say(raised ? locale.t.said.handUp : locale.t.said.handDown);
  }

  #role(role: MemberRole): void {
    const before = this.hosting.role;
    const text = () => locale.t.notices.role[role === "panelist" && before === "host" ? "noHost" : role];
    const turnOn = (kind: "mic" | "camera", label: () => string) => {
      return { id: `turn-on-${kind}`, label, run: () => (this.meeting?.isMuted(kind) ? this.toggle(kind) : undefined) };
    };
    const silent = before === "attendee" && role !== "attendee";
    const actions = [turnOn("mic", () => locale.t.lobby.turnMicOn), turnOn("camera", () => locale.t.lobby.turnCameraOn)];
    this.notices.show("role", text, silent ? actions : []);
    for (const kind of ["mic", "camera", "screen"]) this.notices.drop(kind);
  }

  #roster(members: readonly Member[]): void {
    const { came, went } = changes(this.members, members);
    const { said } = locale.t;
    const others = came.filter(({ id }) => id !== this.self);
    if (others.length === 1 && others[0]) announcer.say(said.joined(others[0].name));
    else if (others.length > 1) announcer.say(said.joinedMany(others.length));
    if (went.length === 1 && went[0]) announcer.say(said.left(went[0].name));
    else if (went.length > 1) announcer.say(said.leftMany(went.length));
    this.members = members;
    if (this.pinned !== undefined && !members.some(({ id }) => id === this.pinned)) this.togglePin(this.pinned);
  }

  #muted(kind: "mic" | "camera" | "screen", muted: boolean, by: number | undefined): void {
    const { said } = locale.t;
    const host = this.members.find(({ id }) => id === by)?.name;
    // Who mutes everybody mutes themself too, and knows.
    if (by === undefined || by === this.self) this.notices.drop(kind);
    else this.notices.show(kind, () => locale.t.notices.muted[kind](host || locale.t.notices.aHost));
    if (kind === "screen") {
      this.sharing = !muted;
      announcer.say(muted ? said.notSharing : said.sharing);
      return;
    }
    // What a host decided is not what this person wants the next time.
    if (by === undefined && this.meeting?.role !== "attendee") prefs.keepSource(kind, !muted, prefs.source(kind).deviceId);
    if (kind === "mic") {
      this.micMuted = muted;
      announcer.say(muted ? said.muted : said.unmuted);
    } else {
      this.cameraOff = muted;
      announcer.say(muted ? said.cameraOff : said.cameraOn);
    }
  }

  #state(meeting: Meeting, state: MeetingState): void {
    const before = this.state;
    this.state = state;
    this.self = meeting.participantId;
    if (state !== "connected") return;
    this.error = undefined;
    this.attempt = 0;
    if (before === "reconnecting") announcer.say(locale.t.said.connected);
  }
}

function asMeshError(cause: unknown, code: "network" | "device"): MeshError {
  return cause instanceof MeshError ? cause : new MeshError(code, String(cause));
}
